"""The numbers of the RDB format: what stands before a value, and what it is."""

from __future__ import annotations

VERSION = 12
"""That of Redis 8.2. A payload of a later one is refused, one of an earlier one read."""

STRING = 0
LIST = 1
SET = 2
ZSET = 3
"""With scores as text."""
HASH = 4
ZSET_2 = 5
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
ZSET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_QUICKLIST = 14
STREAM_LISTPACKS = 15
HASH_LISTPACK = 16
ZSET_LISTPACK = 17
LIST_QUICKLIST_2 = 18
STREAM_LISTPACKS_2 = 19
SET_LISTPACK = 20
STREAM_LISTPACKS_3 = 21
HASH_METADATA_PRE_GA = 22
"""Hashes with deadlines of fields; those of the release candidates of Redis 7.4 do not begin with
the earliest."""
HASH_LISTPACK_EX_PRE_GA = 23
HASH_METADATA = 24
HASH_LISTPACK_EX = 25

PLAIN_NODE, PACKED_NODE = 1, 2
"""What a node of a quicklist is: one long element, or a listpack."""

INT8, INT16, INT32, LZF = range(4)
"""Strings that are not spelled out, by the low bits of the first byte."""
ENCODED = 0xC0
