"""What there is to configure, in words: ``--help`` and docs/configuration.md.

Role: print the table of directives.
May import: the table, the package's version.
Does not know: any value but the defaults.
"""

from collections.abc import Iterator

from tendis_py import REDIS_VERSION, __version__
from tendis_py.config.directive import Directive
from tendis_py.config.settings import DIRECTIVES, Settings
from tendis_py.config.subcommands import SUBCOMMANDS

_USAGE = """\
Usage: tendis-py [CONFIG_FILE] [--directive value ...] [-]
       tendis-py -                    (read the configuration from stdin)
       tendis-py -v or --version
       tendis-py -h or --help
       tendis-py --check DIR          (verify the data of a server that is not running)
{subcommands}

Examples:
       tendis-py                      (run with the defaults)
       tendis-py /etc/tendis.conf
       tendis-py --port 7777 --dir /var/lib/tendis
       tendis-py tendis.conf --loglevel verbose --rocksdb.write_buffer_size 64mb
       echo 'maxclients 128' | tendis-py -

A directive means the same in CONFIG_FILE (redis.conf syntax), as an option, and in CONFIG SET;
an option overrides the file. Those marked * can't be changed while the server runs.

A CONFIG_FILE with the name of a subcommand is given by its path: ./top.

The other directives of Redis are accepted without effect, see docs/configuration.md.

Directives:
"""


_PAGE = """\
# Configuration

Generated from the table of directives by `python -m docs.build`. What can't be changed at run time
takes a restart; what is protected, the leave of `enable-protected-configs`.

## Directives with an effect

{working}
## Accepted without effect

Redis' other directives are read, checked, shown and rewritten as Redis does, so that its files and
clients need no change, but they change nothing here. Setting one to other than its default is said
in the log, once.

{idle}"""


def version_text() -> str:
    return f"tendis-py v={__version__} redis={REDIS_VERSION}"


def help_text() -> str:
    """Return usage, examples, and a line about every directive that has an effect."""
    working = [it for it in DIRECTIVES if it.effect]
    width = max(len(_label(it)) for it in working) + 1
    lines = [f"  {_label(it) + ('' if it.runtime else '*'):<{width}}  {it.help}" for it in working]
    return _USAGE.format(subcommands=_subcommands()) + "\n".join(lines) + "\n"


def _subcommands() -> str:
    return "\n".join(
        f"       {f'tendis-py {name} {it.arguments}':<31}({it.help})"
        for name, it in SUBCOMMANDS.items()
    )


def reference_markdown() -> str:
    """Return docs/configuration.md: what has an effect, then what is accepted without one."""
    working = [it for it in DIRECTIVES if it.effect]
    idle = [it for it in DIRECTIVES if not it.effect]
    heads = ("Directive", "Default", "Accepts", "At runtime")
    working_table = _table((*heads, "Meaning"), working)
    return _PAGE.format(working=working_table, idle=_table((*heads, "Why"), idle))


def _table(heads: tuple[str, ...], directives: list[Directive]) -> str:
    rows = [heads, ("---",) * len(heads), *map(_row, directives)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _label(directive: Directive) -> str:
    return directive.name + (".NAME" if directive.is_family else "")


def _row(directive: Directive) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (_label(directive), *directive.aliases))
    runtime = "yes" if directive.runtime else "no"
    if directive.protected and directive.runtime:
        runtime = "protected"
    return names, _default(directive), directive.kind.accepts(), runtime, directive.help


def _default(directive: Directive) -> str:
    if directive.shown_default is not None:
        return directive.shown_default
    return "<br>".join(_default_lines(directive))


def _default_lines(directive: Directive) -> Iterator[str]:
    for line in directive.kind.lines(getattr(Settings(), directive.attribute)):
        yield f"`{line}`" if line else "none"
