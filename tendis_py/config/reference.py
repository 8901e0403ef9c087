"""What there is to configure, in words: ``--help`` and docs/configuration.md.

Role: print the table of directives.
May import: the table, the package's version.
Does not know: any value but the defaults.
"""

from collections.abc import Iterator

from tendis_py import REDIS_VERSION, __version__
from tendis_py.config.settings import DIRECTIVES, Directive, Settings

_USAGE = """\
Usage: tendis-py [CONFIG_FILE] [--directive value ...] [-]
       tendis-py -                    (read the configuration from stdin)
       tendis-py -v or --version
       tendis-py -h or --help
       tendis-py --check DIR          (verify the data of a server that is not running)

Examples:
       tendis-py                      (run with the defaults)
       tendis-py /etc/tendis.conf
       tendis-py --port 7777 --dir /var/lib/tendis
       tendis-py tendis.conf --loglevel verbose --rocksdb.write_buffer_size 64mb
       echo 'maxclients 128' | tendis-py -

A directive means the same in CONFIG_FILE (redis.conf syntax), as an option, and in CONFIG SET;
an option overrides the file. Those marked * can't be changed while the server runs.

Directives:
"""


def version_text() -> str:
    return f"tendis-py v={__version__} redis={REDIS_VERSION}"


def help_text() -> str:
    """Return usage, examples, and a line about every directive."""
    width = max(len(_label(it)) for it in DIRECTIVES) + 1
    lines = [
        f"  {_label(it) + ('' if it.runtime else '*'):<{width}}  {it.help}" for it in DIRECTIVES
    ]
    return _USAGE + "\n".join(lines) + "\n"


def reference_markdown() -> str:
    """Return the table of all directives for docs/configuration.md."""
    heads = ("Directive", "Default", "Accepts", "At runtime", "Meaning")
    rows = [heads, ("---",) * len(heads), *map(_row, DIRECTIVES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _label(directive: Directive) -> str:
    return directive.name + (".NAME" if directive.is_family else "")


def _row(directive: Directive) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (_label(directive), *directive.aliases))
    runtime = "yes" if directive.runtime else "no"
    return names, _default(directive), directive.kind.accepts(), runtime, directive.help


def _default(directive: Directive) -> str:
    if directive.shown_default is not None:
        return directive.shown_default
    return "<br>".join(_default_lines(directive))


def _default_lines(directive: Directive) -> Iterator[str]:
    for line in directive.kind.lines(getattr(Settings(), directive.attribute)):
        yield f"`{line}`" if line else "none"
