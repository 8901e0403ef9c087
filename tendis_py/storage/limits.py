"""Up to what size a collection stays in its meta row. The server's configuration has attributes of
these names, which CONFIG SET changes; without a server these are the values."""

from __future__ import annotations

from typing import Protocol


class Limits(Protocol):
    """Elements, and bytes of an element, as the directives of the same names."""

    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    list_max_listpack_size: int
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int
    stream_node_max_bytes: int
    stream_node_max_entries: int
    hll_sparse_max_bytes: int


class DefaultLimits:
    hash_max_listpack_entries = 512
    hash_max_listpack_value = 64
    list_max_listpack_size = -2
    set_max_intset_entries = 512
    set_max_listpack_entries = 128
    set_max_listpack_value = 64
    zset_max_listpack_entries = 128
    zset_max_listpack_value = 64
    stream_node_max_bytes = 4096
    stream_node_max_entries = 100
    hll_sparse_max_bytes = 3000
