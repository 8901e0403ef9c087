"""The generated pages are up to date, and README and docs name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.build import PAGES
from tendis_py.threading_model import MODELS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_not_stale(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), (
        "run `python -m docs.build`"
    )


@pytest.mark.parametrize(
    ("usage", "origin"),
    [
        ("DELEX key", "(Redis 8.4)"),
        ("SUNIONCARD numkeys", "(Redis 8.10)"),
        ("CAS key", "(Kvrocks)"),
        ("SLOWLOG STAGES", "(tendis-py)"),
        ("SET key", "(IFEQ, IFNE, IFDEQ, IFDNE: Redis 8.4)"),
    ],
)
def test_the_page_of_commands_names_the_origin(usage: str, origin: str) -> None:
    (line,) = [line for line in PAGES["commands.md"]().splitlines() if f"| `{usage}" in line]
    assert f"{origin} |" in line


def test_the_page_of_commands_says_nothing_of_the_origin_of_others() -> None:
    (line,) = [line for line in PAGES["commands.md"]().splitlines() if "| `GET key" in line]
    assert "(Redis" not in line


def test_readme_links_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_readme_names_every_threading_model() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in MODELS:
        assert f"`{name}`" in readme
