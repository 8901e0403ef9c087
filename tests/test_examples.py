"""Every example runs, as its README says, and ends by itself; so do the README's first steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.reference import split_arguments
from tests.support.resp import Simple
from tests.support.servers import ServerProcess

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "support")
SECONDS = 90.0


def python(*arguments: str, cwd: Path) -> str:
    """What a Python program prints that ends well and warns of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # this checkout's, whatever is installed
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def start() -> str:
    """The chapter of the README that everybody reads."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split("\n## Start\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name: str, tmp_path: Path) -> None:
    assert python(str(ROOT / "examples" / f"{name}.py"), cwd=tmp_path).strip()
    assert not list(tmp_path.iterdir())


def test_a_data_set_is_copied_from_a_real_server(
    redis_server: ServerProcess, tmp_path: Path
) -> None:
    with redis_server.client() as client:
        client.command("FLUSHALL")
        client.command("MSET", *(f"k{number}" for number in range(1000)))
        client.command("RPUSH", "list", "a", "b")
        printed = python(
            str(ROOT / "examples" / "moving.py"), f"127.0.0.1:{redis_server.port}", cwd=tmp_path
        )
        assert printed == "501 keys copied\n"
        assert client.value("DBSIZE") == 501


def test_examples_are_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for name in EXAMPLES:
        assert f"[{name}.py]" in listed


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_say_what_they_need(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert ("\nimport redis\n" in text) == ("pip install redis" in text)


def test_the_first_commands_answer_what_the_readme_shows(
    start: str, tendis_default: ServerProcess
) -> None:
    steps = re.findall(r"^\$ redis-cli (.+)\n(.+)$", start, re.MULTILINE)
    assert len(steps) >= 2
    with tendis_default.client() as client:
        for line, shown in steps:
            value = client.value(*split_arguments(line.encode()))
            text = value.text if isinstance(value, Simple) else f'"{value.decode()}"'
            assert text == shown, line


def test_the_first_program_runs(start: str, tendis_default: ServerProcess, tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.+?)^```$", start, re.MULTILINE | re.DOTALL)
    assert "redis.Redis()" in program
    program = program.replace("redis.Redis()", f"redis.Redis(port={tendis_default.port})")
    assert re.fullmatch(r"b'hello' (60|59)\n", python("-c", program, cwd=tmp_path))


def test_the_interpreters_named_are_the_ones_that_ci_tries(start: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.compile(r"\b3\.\d+\b")
    named = [found[0] for text in project["classifiers"] if (found := version.findall(text))]
    assert version.findall(start.split("```")[0]) == named
    assert project["requires-python"] == f">={named[0]}"
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [tried] = re.findall(r"^supported=\((.+)\)$", script, re.MULTILINE)
    assert set(named) <= set(tried.split())
