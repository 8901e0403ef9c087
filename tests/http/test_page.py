"""The dashboard in a real browser, while a server works."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis._parsers.helpers import parse_info

from tendis_py.http import feed
from tendis_py.server import Server
from tests.support.browser import DESKTOP, PHONE, chromium, opened
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient, decode
from tests.support.servers import HOST

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KB = 1024

STATE_HAS = "word => document.getElementById('state').innerText.includes(word)"

BEYOND = """() => [...document.querySelectorAll("body *")]
    .filter((it) => it.getBoundingClientRect().right > innerWidth + 1)
    .map((it) => it.outerHTML)"""
"""What stands out of the window."""

UNITS = {"ns": 1e-3, "µs": 1.0, "ms": 1e3, "s": 1e6}
"""In µs."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It works all the time: some hundred requests a second."""
    config = config_for(tmp_path_factory.mktemp("page"), slowlog_log_slower_than="0")
    stop = threading.Event()

    def work(port: int) -> None:
        with RawClient((HOST, port)) as client:
            while not stop.wait(0.005):
                client.command("SET", "key", "x")
                client.command("GET", "<script>alert(1)</script>")

    with pytest.MonkeyPatch.context() as patch, embedded(config, dashboard_port=0) as running:
        patch.setattr(feed, "SECONDS", 0.25)  # between two snapshots
        worker = threading.Thread(target=work, args=(running.port,))
        worker.start()
        yield running
        stop.set()
        worker.join(20.0)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, url(server)) as shown:
        wait_for_snapshots(shown, 2)
        yield shown


def url(server: Server) -> str:
    return f"http://{HOST}:{server.dashboard.port}/"


def wait_for_snapshots(page: Page, count: int) -> None:
    """Until so many have been drawn from now on."""
    for _ in range(count):
        before = page.evaluate("document.body.dataset.time")
        page.wait_for_function("before => document.body.dataset.time != before", arg=before)


def info(server: Server) -> dict[str, Any]:
    with RawClient((HOST, server.port)) as client:
        text = decode(client.command("INFO", "everything")).decode()
    found: dict[str, Any] = parse_info(text)  # type: ignore[no-untyped-call]
    return found


def number(text: str) -> float:
    """What a figure of the page says; a duration in µs."""
    value, _, unit = text.replace(",", "").partition(" ")
    return float(value) * UNITS.get(unit, 1.0)


def rows(page: Page, table: str) -> dict[str, list[str]]:
    """First column → the others."""
    cells: list[list[str]] = page.evaluate(
        "id => [...document.getElementById(id).rows].map(r => [...r.cells].map(c => c.innerText))",
        table,
    )
    return {first: rest for first, *rest in cells}


def test_the_page_says_what_info_says(page: Page, server: Server) -> None:
    page.get_by_role("button", name="since reset").click()
    before = info(server)
    wait_for_snapshots(page, 2)
    stages, commands = rows(page, "stages"), rows(page, "commands")
    clients, rate = page.inner_text("#clients"), page.inner_text("#rate")
    after = info(server)
    assert before["cmdstat_set"]["calls"] <= number(commands["SET"][1])
    assert number(commands["SET"][1]) <= after["cmdstat_set"]["calls"]
    assert number(clients) == before["connected_clients"] - 1  # who asks for INFO
    for name in ("parse", "execute", "commit", "write"):
        _, count, *durations = stages[name]
        first, last = before[f"stage_{name}"], after[f"stage_{name}"]
        assert first["calls"] <= number(count) <= last["calls"], name
        low, high = sorted((first["p50"], last["p50"]))
        assert low * 0.95 <= number(durations[0]) <= high * 1.05, name
    told = before["instantaneous_ops_per_sec"], after["instantaneous_ops_per_sec"]
    assert min(told) * 0.5 < number(rate) < max(told) * 2
    assert page.inner_text("#model") == server.config.threading_model
    assert page.inner_text("#findings")
    assert rows(page, "threads")["reactor-0"][-1] == clients


def test_what_clients_send_is_shown_and_does_nothing(page: Page) -> None:
    shown = page.inner_text("#slowlog")
    assert "GET <script>alert(1)</script>" in shown


def test_the_pipeline_is_drawn_and_lives(page: Page) -> None:
    drawing = page.text_content("#pipeline svg") or ""
    for stage in ("accept", "parse", "queue", "execute", "commit", "write"):
        assert stage in drawing
    assert re.search(r"\d+ % of the batches run in the reactor itself", drawing)
    assert page.locator("#charts svg path.p50[d^=M]").count() >= 4
    shares = page.locator("#legend li:visible").all_inner_texts()
    assert sum(int(re.findall(r"(\d+) %", text)[0]) for text in shares) == pytest.approx(100, abs=5)


def test_it_can_be_paused_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pause"
    page.keyboard.press("Enter")
    assert page.inner_text("#state") == "paused"
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.keyboard.press("Enter")
    wait_for_snapshots(page, 1)
    assert page.inner_text("#state") == "live"


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, True)])
def test_axe_finds_nothing(
    browser: Browser, server: Server, size: tuple[int, int], dark: bool
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(browser, url(server), size, dark=dark) as page:
        wait_for_snapshots(page, 2)
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate(BEYOND) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_it_keeps_still_for_those_who_prefer_that(browser: Browser, server: Server) -> None:
    animation = "getComputedStyle(document.querySelector('.flow')).animationName"
    for calm, expected in ((False, "flow"), (True, "none")):
        with opened(browser, url(server), calm=calm) as page:
            wait_for_snapshots(page, 1)
            assert page.evaluate(animation) == expected


def test_it_is_light(page: Page) -> None:
    weight = page.evaluate(
        "performance.getEntries().reduce((sum, it) => sum + (it.transferSize || 0), 0)"
    )
    assert 0 < weight < 100 * KB


def test_it_says_when_the_server_is_gone_and_comes_back(browser: Browser, server: Server) -> None:
    port = server.dashboard.port
    with (
        opened(browser, url(server), complains=True) as page,
        RawClient((HOST, server.port)) as client,
    ):
        wait_for_snapshots(page, 1)
        client.command("CONFIG", "SET", "dashboard-port", str(port))
        client.command("CONFIG", "SET", "dashboard-port", "0")
        page.wait_for_function(STATE_HAS, arg="again")
        client.command("CONFIG", "SET", "dashboard-port", str(port))
        page.wait_for_function(STATE_HAS, arg="live")
