"""Trimming: deleting the first entries of a stream, to the entry as Redis does it, node by node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tendis_py.types.stream.entries import Stream
from tendis_py.types.stream.ids import to_key
from tendis_py.types.stream.nodes import Node

MayDelete = Callable[[int], bool]
"""Asked about each entry, by ID, that is to be deleted; it may do what has to be done before."""

_FEW = 1024
"""Entries from which on a range is deleted at once, which leaves one tombstone."""


@dataclass(frozen=True, slots=True)
class Trimming:
    """Down to ``length`` entries, or to those from ``least`` on; the other is None.

    ``whole_nodes``: only whole nodes go, of at most ``limit`` entries together (0: no limit).
    """

    length: int | None
    least: int | None
    whole_nodes: bool
    limit: int

    def stops_before(self, node: Node, length: int, deleted: int) -> bool:
        """Whether to leave ``node`` alone, the first one of a stream of ``length`` entries, after
        so many were deleted."""
        if self.length is not None and length <= self.length:
            return True
        return 0 < self.limit < deleted + node.live

    def covers(self, node: Node, length: int) -> bool:
        """Whether all of ``node`` is to go, the first one of a stream of ``length`` entries."""
        if self.length is not None:
            return length - node.live >= self.length
        assert self.least is not None
        return node.last < self.least

    def is_done(self, length: int, first: int) -> bool:
        """Whether a stream of ``length`` entries that begins with ``first`` is short enough."""
        if self.length is not None:
            return length <= self.length
        assert self.least is not None
        return first >= self.least


def trim(stream: Stream, trimming: Trimming) -> int:
    """Delete entries from the first on; how many. The stream is to be saved."""
    length, first = stream.length, stream.first
    dropped: list[Node] = []
    cut: list[int] = []
    rest = None
    for node in stream.nodes:
        if trimming.stops_before(node, length, stream.length - length):
            rest = node
            break
        if not trimming.covers(node, length):
            rest = node
            if not trimming.whole_nodes:
                cut, first = _cut(stream, node, trimming, length)
            break
        length -= node.live
        first = node.last + 1
        dropped.append(node)
    if dropped:
        if rest is not None and not cut:
            first = next(stream.ids(first), 0)
        _delete_before(stream, dropped[-1].last + 1, stream.length - length)
        stream.nodes.drop_first(dropped, rest)
    for id_ in cut:
        stream.entries.remove(to_key(id_))
    if rest is not None and cut:
        stream.nodes.shrink(rest, len(cut), keep=True)
    deleted = stream.length - length + len(cut)
    stream.length -= deleted
    stream.first = 0 if rest is None else first
    return deleted


def _cut(stream: Stream, node: Node, trimming: Trimming, length: int) -> tuple[list[int], int]:
    """What is to go of the entries of ``node``, and the first that stays (0 for none)."""
    gone: list[int] = []
    for id_ in stream.ids(node.first):
        if trimming.is_done(length - len(gone), id_):
            return gone, id_
        gone.append(id_)
    return gone, 0


def _delete_before(stream: Stream, end: int, number: int) -> None:
    """Delete the entries before ``end``, ``number`` of them."""
    stream.db.tx.admit(number)
    if number > _FEW:
        stream.entries.remove_range(to_key(stream.first), to_key(end))
    else:
        for id_ in list(stream.ids(end=end - 1)):
            stream.entries.remove(to_key(id_))


@dataclass(frozen=True, slots=True)
class _Cut:
    """So many entries of a node are to be deleted; it stays even without any if ``keep``."""

    node: Node
    entries: int
    keep: bool


def trim_some(stream: Stream, trimming: Trimming, may_delete: MayDelete) -> int:
    """As ``trim``, but for what ``may_delete`` spares; not by whole nodes. Redis' way: if that
    keeps the stream too long it goes on with the next node, up to one that has to stay in part.
    """
    length = stream.length
    gone: set[int] = set()
    dropped: list[Node] = []
    cuts: list[_Cut] = []
    rest = None
    looked_at = 0
    for node in stream.nodes:
        if trimming.stops_before(node, length, len(gone)):
            rest = rest or node
            break
        whole = trimming.covers(node, length)
        chosen = _choose(stream, node, trimming, length, may_delete)
        length -= len(chosen)
        gone.update(chosen)
        if rest is None and whole and len(chosen) == node.live:
            dropped.append(node)
        else:
            rest = rest or node
            cuts.append(_Cut(node, len(chosen), keep=not whole))
        looked_at += node.live
        stream.db.tx.admit(looked_at)
        if not whole:
            break
    if stream.first in gone:
        stream.first = next((id_ for id_ in stream.ids() if id_ not in gone), 0)
    for id_ in gone:
        stream.entries.remove(to_key(id_))
    stream.nodes.drop_first(dropped, rest)
    for cut in cuts:
        if cut.entries:
            stream.nodes.shrink(cut.node, cut.entries, keep=cut.keep)
    stream.length = length
    return len(gone)


def _choose(
    stream: Stream, node: Node, trimming: Trimming, length: int, may_delete: MayDelete
) -> list[int]:
    """What is to go of the entries of ``node``, the first of ``length`` entries that may go."""
    chosen: list[int] = []
    for id_ in stream.ids(node.first, node.last):
        if trimming.is_done(length - len(chosen), id_):
            break
        if may_delete(id_):
            chosen.append(id_)
    return chosen
