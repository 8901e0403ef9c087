"""Tables and bars for any width of terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
TEXT_WIDTH = 24
"""So much of a text is to be seen before numbers are left out for it."""

BAR_WIDTH = 10

_BLOCKS = " ▁▂▃▄▅▆▇█"

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """``rank``: 0 stays in any case; of the others the highest goes first where room is lacking.
    ``is_text``: from the left, and cut where even so there is no room."""

    title: str
    rank: int = 0
    is_text: bool = False


class Listing:
    """A table that leaves out what it has no room for. Its columns have the given order."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        self.columns = columns
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = self._fitting(options.max_width)
        titles = [Text(column.title, "bold") for column in self.columns]
        for row in (titles, *self.rows):
            yield Text(" " * GAP).join(self._cell(row, index, widths[index]) for index in widths)

    def _cell(self, row: Sequence[Cell], index: int, width: int) -> Text:
        cell = row[index]
        text = cell.copy() if isinstance(cell, Text) else Text(cell)
        text.truncate(width, overflow="ellipsis")
        text.align("left" if self.columns[index].is_text else "right", width)
        return text

    def _fitting(self, room: int) -> dict[int, int]:
        """The columns that are shown, with their widths."""
        widths = {index: self._width(index) for index in range(len(self.columns))}
        needs = {
            index: min(width, TEXT_WIDTH) if self.columns[index].is_text else width
            for index, width in widths.items()
        }
        for index in sorted(widths, key=lambda index: -self.columns[index].rank):
            if not self.columns[index].rank or _taken(needs) <= room:
                break
            del widths[index], needs[index]
        texts = [index for index in widths if self.columns[index].is_text]
        while texts and _taken(widths) > room:
            widest = max(texts, key=lambda index: widths[index])
            if widths[widest] <= 1:
                break
            widths[widest] = min(widths[widest] - 1, room)
        return widths

    def _width(self, index: int) -> int:
        return max(map(_cell_width, self._column(index)))

    def _column(self, index: int) -> Iterator[Cell]:
        yield self.columns[index].title
        for row in self.rows:
            yield row[index]


def _taken(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


class Facts:
    """Names with their figures, as many in a line as there is room for."""

    def __init__(self, facts: Sequence[tuple[str, str]]) -> None:
        self.facts = facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for name, figure in self.facts:
            fact = Text.assemble((f"{name} ", "dim"), figure)
            if line and line.cell_len + GAP + fact.cell_len > options.max_width:
                yield line
                line = Text()
            line.append(" " * GAP if line else "").append_text(fact)
        yield line


class Sparkline:
    """The latest figures by height, as many as there is room for; the highest of them is full."""

    def __init__(self, figures: Iterable[float]) -> None:
        self.figures = list(figures)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        latest = self.figures[-options.max_width :]
        highest = max(latest, default=0.0)
        steps = len(_BLOCKS) - 1
        yield Text(
            "".join(
                _BLOCKS[min(steps, round(figure / highest * steps)) if highest else 0]
                for figure in latest
            ),
            "cyan",
        )


def bar(fraction: float, colour: str = "") -> Text:
    """A bar that is full at 1; without a ``colour`` of its own it warns from three quarters on."""
    filled = min(BAR_WIDTH, max(0, round(fraction * BAR_WIDTH)))
    warning = "red" if fraction >= 0.9 else "yellow" if fraction >= 0.75 else "green"
    return Text.assemble(("█" * filled, colour or warning), ("░" * (BAR_WIDTH - filled), "dim"))


def _cell_width(cell: Cell) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)
