"""Debian's Chromium without a window, driven by playwright, where the machine has both.

Knows nothing of the pages.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP = (1280, 900)
PHONE = (360, 740)
MILLISECONDS = 15_000


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The test is skipped, and says why, where there is none."""
    path = program("chromium", "chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright; the test extra has it")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser,
    url: str,
    size: tuple[int, int] = DESKTOP,
    *,
    dark: bool = False,
    calm: bool = False,
    complains: bool = False,
) -> Iterator[Page]:
    """The page at ``url`` in a window of its own; it must not complain, nor ask anybody else.
    ``calm``: whoever looks prefers reduced motion. ``complains``: it has to."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if calm else "no-preference",
    )
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda it: it.url.startswith(url) or complaints.append(it.url))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert bool(complaints) == complains, complaints
