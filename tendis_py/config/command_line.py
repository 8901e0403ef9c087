"""The command line, in redis-server's conventions, and the configuration it asks for.

Role: arguments in, what to do out; then configuration file, stdin and options into a `Config`.
May import: the rest of the configuration.
Does not know: how a server is made from it.
"""

import os
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tendis_py.config.live import Config
from tendis_py.config.subcommands import SUBCOMMANDS
from tendis_py.config.syntax import (
    BAD_DIRECTIVE,
    COMMAND_LINE,
    STDIN,
    USER,
    ConfigError,
    Line,
    decode,
    encode,
    read_file,
    read_text,
    split_words,
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a command line asks for."""

    action: Literal["serve", "help", "version", "check", "subcommand"] = "serve"
    config_file: str | None = None
    """Absolute path."""
    from_stdin: bool = False
    options: tuple[Line, ...] = ()
    checked_folder: str = ""
    """Where the data to check is: a data folder, or a server's ``dir``."""
    subcommand: str = ""
    arguments: tuple[str, ...] = ()
    """Those that follow the subcommand."""


def parse_command_line(argv: list[str]) -> Invocation:
    """Read the arguments after the program's name; opens no file. Raises ConfigError.

    Redis' rules: an option takes at least one value, and all arguments up to the next ``--``; what
    follows an option's name is its value even if it starts with ``--``, except after ``--save``.
    """
    if argv[:1] in (["-v"], ["--version"]):
        return Invocation(action="version")
    if argv[:1] in (["-h"], ["--help"]):
        return Invocation(action="help")
    if argv[:1] == ["--check"]:
        if len(argv) != 2:
            raise ConfigError(BAD_DIRECTIVE, file=COMMAND_LINE, line_number=1, line=" ".join(argv))
        return Invocation(action="check", checked_folder=argv[1])
    if argv and argv[0] in SUBCOMMANDS:
        name, *arguments = argv
        return Invocation(action="subcommand", subcommand=name, arguments=tuple(arguments))
    config_file, from_stdin, rest = None, False, argv
    if argv and not argv[0].startswith("-"):
        config_file, rest = os.path.abspath(argv[0]), argv[1:]
    elif argv[:1] == ["-"]:
        from_stdin, rest = True, argv[1:]
    if rest[-1:] == ["-"]:
        from_stdin, rest = True, rest[:-1]
    return Invocation("serve", config_file, from_stdin, tuple(_options(rest)))


def _options(arguments: list[str]) -> list[Line]:
    options: list[Line] = []
    complete = True  # whether the option being read has a value
    for argument in arguments:
        starts_option = argument.startswith("--")
        if starts_option and not complete and _is_bare_save(options[-1]):
            options[-1].words.append("")
            complete = True
        if starts_option and complete:
            words = _split(argument, len(options) + 1)
            options.append(Line(COMMAND_LINE, len(options) + 1, argument, words))
            complete = len(words) > 1
        elif options:
            previous = options[-1]
            text = f"{previous.text} {_shown(argument)}"
            words = [*previous.words, argument]
            options[-1] = Line(COMMAND_LINE, previous.number, text, words)
            complete = True
        else:
            raise ConfigError(BAD_DIRECTIVE, file=COMMAND_LINE, line_number=1, line=argument)
    if options and _is_bare_save(options[-1]):
        options[-1].words.append("")
    return options


def _is_bare_save(option: Line) -> bool:
    return [word.lower() for word in option.words] == ["save"]


def _split(argument: str, number: int) -> list[str]:
    """Return the words of ``--name`` or of ``--name value`` given as one argument."""
    try:
        words = [decode(word) for word in split_words(encode(argument[2:]))]
    except ValueError as error:
        raise ConfigError(
            str(error), file=COMMAND_LINE, line_number=number, line=argument
        ) from None
    if not words:
        raise ConfigError(BAD_DIRECTIVE, file=COMMAND_LINE, line_number=number, line=argument)
    return words


def _shown(argument: str) -> str:
    return argument if argument and not argument.isspace() else f'"{argument}"'


def load_config(invocation: Invocation, stdin: BinaryIO | None = None) -> Config:
    """Return the settings of ``invocation``: file first, then ``stdin``, then options.

    The last to name a setting decides. Raises ConfigError.
    """
    config = Config(invocation.config_file)
    if invocation.config_file is not None:
        for line in read_file(invocation.config_file):
            _assign(config, line)
    if invocation.from_stdin and stdin is not None:
        for line in read_text(stdin.read(), STDIN):
            _assign(config, line)
    for line in invocation.options:
        _assign(config, line)
    return config


def _assign(config: Config, line: Line) -> None:
    try:
        if line.words[0].lower() == USER:
            config.define_user(line)
        else:
            config.assign(line.words)
    except ValueError as error:
        raise line.error(str(error)) from None
