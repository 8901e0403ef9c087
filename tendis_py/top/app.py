"""The live screen: panels in one column or two, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Footer, Static

from tendis_py.top.address import Target
from tendis_py.top.snapshot import Snapshot
from tendis_py.top.view import ORDERS, PANELS, WINDOWS, View, heading
from tendis_py.top.watch import Lost, Watcher

Choice = TypeVar("Choice")

TWO_COLUMNS = 130
"""From this width on two panels stand side by side."""


class Seen(Message):
    """The server was looked at."""

    def __init__(self, outcome: Snapshot | Lost | Exception) -> None:
        super().__init__()
        self.outcome = outcome


class TopApp(App[None]):
    """Shows ``view``, and what comes after."""

    TITLE = "tendis-py top"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - an instance variable of App
        (0, "-one-column"),
        (TWO_COLUMNS, "-two-columns"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("p", "pause", "Pause"),
        Binding("w", "window", "Window"),
        Binding("l", "lanes", "Stages by lane"),
        Binding("s", "sort", "Order of commands"),
    ]
    CSS = """
    #heading { height: auto; padding: 0 1; background: $panel; }
    Vertical { height: auto; }
    #columns { height: auto; layout: vertical; }
    .-two-columns #columns { layout: horizontal; }
    .-two-columns #left, .-two-columns #right { width: 1fr; }
    .panel { height: auto; border: round $primary; border-title-color: $text; padding: 0 1; }
    """

    def __init__(self, target: Target, interval: float, view: View) -> None:
        super().__init__()
        self.target = target
        self.interval = interval
        self.view = view
        self.paused = False
        self._heading = Static(id="heading")
        self._panels = {panel.name: Static(id=panel.name, classes="panel") for panel in PANELS}
        self._watcher = Watcher(target, interval, self._tell)

    def _tell(self, outcome: Snapshot | Lost | Exception) -> None:
        self.post_message(Seen(outcome))

    def compose(self) -> ComposeResult:
        yield self._heading
        with VerticalScroll(id="panels"):
            yield from self._panels_at("top")
            with Container(id="columns"):
                for side in ("left", "right"):
                    with Vertical(id=side):
                        yield from self._panels_at(side)
            yield from self._panels_at("bottom")
        yield Footer()

    def _panels_at(self, place: str) -> Iterator[Static]:
        yield from (self._panels[panel.name] for panel in PANELS if panel.place == place)

    def on_mount(self) -> None:
        self._draw()
        self._watcher.start()

    def on_unmount(self) -> None:
        self._watcher.stop()

    def on_seen(self, message: Seen) -> None:
        match message.outcome:
            case Lost(reason):
                self.view.lost = reason
            case Snapshot() as snapshot:
                self.view.show(snapshot)
            case failure:
                raise failure
        if not self.paused:
            self._draw()

    def action_pause(self) -> None:
        """Leave the screen as it is; the watching goes on."""
        self.paused = not self.paused
        self._draw()

    def action_window(self) -> None:
        self.view.window = _next(list(WINDOWS), self.view.window)
        self._draw()

    def action_lanes(self) -> None:
        self.view.lanes = not self.view.lanes
        self._draw()

    def action_sort(self) -> None:
        self.view.order = _next(list(ORDERS), self.view.order)
        self._draw()

    def _draw(self) -> None:
        line = heading(self.view)
        if self.paused:
            line.append("   paused", "bold yellow")
        self._heading.update(line)
        seen = self.view.seen
        for panel in PANELS:
            widget = self._panels[panel.name]
            widget.display = seen is not None and panel.applies(seen)
            if seen is not None and widget.display:
                widget.border_title = panel.title(self.view)
                widget.update(panel.draw(self.view, seen))


def _next(choices: list[Choice], chosen: Choice) -> Choice:
    return choices[(choices.index(chosen) + 1) % len(choices)]
