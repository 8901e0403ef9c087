"""The command line, in redis-server's conventions."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from tendis_py import __version__
from tendis_py.__main__ import main
from tendis_py.config import (
    Config,
    ConfigError,
    help_text,
    load_config,
    parse_command_line,
    version_text,
)
from tendis_py.config.settings import DIRECTIVES
from tendis_py.config.subcommands import SUBCOMMANDS, Subcommand

BAD = "Bad directive or wrong number of arguments"


def words(*argv: str) -> list[list[str]]:
    return [option.words for option in parse_command_line(list(argv)).options]


def load(*argv: str, stdin: bytes = b"") -> Config:
    return load_config(parse_command_line(list(argv)), BytesIO(stdin))


@pytest.mark.parametrize(
    ("argv", "action"),
    [
        ([], "serve"),
        (["--version"], "version"),
        (["-v"], "version"),
        (["--help"], "help"),
        (["-h"], "help"),
        (["--requirepass", "-h"], "serve"),
        (["--check", "folder"], "check"),
        (["--requirepass", "--check"], "serve"),
        (["top"], "subcommand"),
        (["./top"], "serve"),
        (["--unixsocket", "top"], "serve"),
    ],
)
def test_actions(argv: list[str], action: str) -> None:
    assert parse_command_line(argv).action == action


def test_a_subcommand_reads_its_own_arguments() -> None:
    invocation = parse_command_line(["top", "host:1", "--once", "-h"])
    assert invocation.subcommand == "top"
    assert invocation.arguments == ("host:1", "--once", "-h")


def test_a_configuration_file_named_as_a_subcommand_is_given_by_its_path() -> None:
    assert parse_command_line(["./top"]).config_file == str(Path("top").absolute())


def subcommand(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str, *arguments: str) -> int:
    """The exit code of ``tendis-py probe …``, which is ``source``."""
    (folder / "probe_subcommand.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "probe_subcommand", raising=False)
    monkeypatch.setitem(SUBCOMMANDS, "probe", Subcommand("probe_subcommand", "probing", "", ""))
    return main(["probe", *arguments])


def test_a_subcommand_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = "def main(arguments): return len(arguments)"
    assert subcommand(monkeypatch, tmp_path, source, "a", "-b", "--c") == 3


def test_a_subcommand_names_the_extra_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert subcommand(monkeypatch, tmp_path, "import absent_library.part") == 1
    assert capsys.readouterr().err == (
        "tendis-py probe needs absent_library, which is not installed: "
        "pip install 'tendis-py[probing]'\n"
    )


def test_ctrl_c_ends_a_subcommand_quietly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = "def main(arguments): raise KeyboardInterrupt"
    assert subcommand(monkeypatch, tmp_path, source) == 130


def test_top_does_without_the_server() -> None:
    loaded = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, tendis_py.__main__ as program; program.main(['top', '--help']);"
            "print([it for it in sys.modules if it in ('rocksdict', 'tendis_py.server')])",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert loaded.stdout.endswith("\n[]\n")


def test_a_start_reads_the_configuration_from_stdin() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "tendis_py", "-"],
        input="no-such-directive 1\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert "no-such-directive" in refused.stderr


def test_help_lists_the_subcommands() -> None:
    assert "tendis-py top HOST:PORT …" in help_text()


def test_check_takes_one_folder() -> None:
    assert parse_command_line(["--check", "folder"]).checked_folder == "folder"
    for wrong in (["--check"], ["--check", "folder", "--port", "1"]):
        with pytest.raises(ConfigError, match=BAD):
            parse_command_line(wrong)


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--port", "1", "--hz", "2"], [["port", "1"], ["hz", "2"]]),
        (["x.conf", "--bind", "a", "-b", "--hz", "2"], [["bind", "a", "-b"], ["hz", "2"]]),
        (["--port 1", "--hz 2"], [["port", "1"], ["hz", "2"]]),
        (["--save", ""], [["save", ""]]),
        (["--save"], [["save", ""]]),
        (["--SAVE", "--port", "1"], [["SAVE", ""], ["port", "1"]]),
        (["--requirepass", "--secret", "--hz", "2"], [["requirepass", "--secret"], ["hz", "2"]]),
        (["--requirepass", 'a"b c'], [["requirepass", 'a"b c']]),
        (["--port"], [["port"]]),
    ],
)
def test_options(argv: list[str], options: list[list[str]]) -> None:
    assert words(*argv) == options


@pytest.mark.parametrize(
    ("argv", "config_file", "from_stdin", "options"),
    [
        (["a.conf"], "a.conf", False, []),
        (["-"], None, True, []),
        (["a.conf", "-"], "a.conf", True, []),
        (["-", "--hz", "1"], None, True, [["hz", "1"]]),
        (["--hz", "1", "-"], None, True, [["hz", "1"]]),
        (["a.conf", "--hz", "1", "-"], "a.conf", True, [["hz", "1"]]),
        (["--bind", "-", "x"], None, False, [["bind", "-", "x"]]),
    ],
)
def test_sources(
    argv: list[str], config_file: str | None, from_stdin: bool, options: list[list[str]]
) -> None:
    invocation = parse_command_line(argv)
    assert invocation.config_file == (str(Path(config_file).absolute()) if config_file else None)
    assert invocation.from_stdin is from_stdin
    assert [option.words for option in invocation.options] == options


def test_options_override_stdin_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_text("hz 1\nport 1\ntimeout 1\n")
    config = load(str(file), "--hz", "3", "-", stdin=b"hz 2\nport 2\n")
    assert (config.hz, config.port, config.timeout) == (3, 2, 1)
    assert config.config_file == str(file)


def test_several_values_and_repeated_directives() -> None:
    limits = ["--client-output-buffer-limit", "normal", "1", "2", "3", "pubsub", "4", "5", "6"]
    config = load(*limits, "--bind", "a", "b", "--rocksdb.x", "1", "--rocksdb.y", "2")
    assert config.client_output_buffer_limit.normal.hard == 1
    assert config.client_output_buffer_limit.pubsub.soft_seconds == 6
    assert config.bind == ["a", "b"]
    assert config.rocksdb == {"x": "1", "y": "2"}


def test_a_client_class_not_named_keeps_its_limit_over_lines() -> None:
    text = b"client-output-buffer-limit normal 1 2 3\nclient-output-buffer-limit slave 4 5 6\n"
    limits = load("-", stdin=text).client_output_buffer_limit
    assert (limits.normal.hard, limits.replica.hard, limits.pubsub.hard) == (1, 4, 32 * 2**20)


@pytest.mark.parametrize(
    ("argv", "number", "line", "reason"),
    [
        (["--port=7777"], 1, "--port=7777", BAD),
        (["--port"], 1, "--port", "wrong number of arguments"),
        (["--hz", "1", "--nope", "1"], 2, "--nope 1", BAD),
        (["-x"], 1, "-x", BAD),
        (["--"], 1, "--", BAD),
        (["--port", "1", "x.conf"], 1, "--port 1 x.conf", "wrong number of arguments"),
        (["--port", ""], 1, '--port ""', "argument couldn't be parsed into an integer"),
        (['--bind "a'], 1, '--bind "a', "Unbalanced quotes in configuration line"),
        (["--save", "900"], 1, "--save 900", "Invalid save parameters"),
    ],
)
def test_errors_name_the_option(argv: list[str], number: int, line: str, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(*argv)
    assert str(error.value) == (
        f"*** FATAL CONFIG FILE ERROR (tendis-py {__version__}) ***\n"
        f"Reading the command line, at option {number}\n>>> '{line}'\n{reason}"
    )
    assert error.value.file == "<command line>"


def test_errors_in_a_file_name_the_line(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_text("# c\n  maxclients 0\n")
    with pytest.raises(ConfigError) as error:
        load(str(file), "--hz", "1")
    assert str(error.value) == (
        f"*** FATAL CONFIG FILE ERROR (tendis-py {__version__}) ***\n"
        f"Reading the configuration file, at line 2 of {file}\n>>> 'maxclients 0'\n"
        "argument must be between 1 and 4294967295 inclusive"
    )


def test_errors_on_stdin_say_so() -> None:
    with pytest.raises(ConfigError, match="at line 1 of <stdin>"):
        load("-", stdin=b"nope 1\n")


def test_a_relative_dir_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("--dir", "data").dir == str(tmp_path / "data")
    assert load().dir == str(tmp_path)


def test_help_lists_every_directive_once() -> None:
    _, table = help_text().split("Directives:\n")
    listed = [line.split()[0].rstrip("*") for line in table.splitlines()]
    assert listed == [it.name + ".NAME" * it.is_family for it in DIRECTIVES if it.effect]
    assert "--port 7777" in help_text()


def test_version() -> None:
    assert version_text().startswith(f"tendis-py v={__version__}")
