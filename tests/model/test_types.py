"""Each data type by itself, on tendis-py and the real server with thresholds so low that every
example crosses from packed rows to rows of their own, and through every command.

The type's commands come mixed with what concerns keys of any type: RENAME, COPY, deadlines, another
type in the way. 70 examples a type; 2,000 with ``-m soak``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tests.model.machine import both, check, check_sizes, check_state
from tests.model.strategies import FAMILIES
from tests.model.strategies.common import Family, Request, command, key, one_of
from tests.support.servers import ServerProcess, redis_process, running, tendis_process

LOW = [
    *("--hash-max-listpack-entries", "4", "--hash-max-listpack-value", "12"),
    *("--list-max-listpack-size", "3"),
    *("--set-max-intset-entries", "4", "--set-max-listpack-entries", "4"),
    *("--set-max-listpack-value", "12"),
    *("--zset-max-listpack-entries", "4", "--zset-max-listpack-value", "12"),
    *("--stream-node-max-entries", "4", "--hll-sparse-max-bytes", "40"),
]

_MIXED = st.one_of(
    command("RENAME", key, key),
    command("RENAMENX", key, key),
    command("COPY", key, key, b"REPLACE"),
    command("DEL", key),
    command("SET", key, one_of("text 1 2.5")),
    command("SADD", key, one_of("m 1 2")),
    command("RPUSH", key, one_of("m 1 2")),
    command("EXPIRE", key, one_of("100 -1")),
    command("PERSIST", key),
    command("TYPE", key),
    command("OBJECT", b"ENCODING", key),
    command("EXISTS", key),
)


def _name(family: Family) -> str:
    return next(iter(family.commands))


TYPES = [family for family in FAMILIES if family.of_a_type]


@pytest.fixture(scope="module")
def low_tendis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running(tendis_process(tmp_path_factory.mktemp("low"), *LOW)) as server:
        yield server


@pytest.fixture(scope="module")
def low_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running(redis_process(tmp_path_factory.mktemp("low-redis"), *LOW)) as server:
        yield server


def _known(request: Request) -> bool:
    return request[0].decode().lower() in REGISTRY.commands


def _requests(family: Family) -> st.SearchStrategy[Request]:
    own = st.one_of([one for name, one in family.commands.items() if name in REGISTRY.commands])
    return st.integers(0, 7).flatmap(lambda dice: _MIXED if dice == 7 else own).filter(_known)


def compare(
    data: st.DataObject, family: Family, tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    requests = _requests(family)
    seeds = [seed for seed in family.seeds if _known(seed)]
    with both(tendis, redis_server, data.draw(st.sampled_from([2, 3]), "protocol")) as pair:
        if seeds:
            check(pair, data.draw(st.lists(st.sampled_from(seeds), max_size=6), "seeds"))
        pipelines = st.lists(st.lists(requests, min_size=1, max_size=12), min_size=1, max_size=6)
        for pipeline in data.draw(pipelines, "pipelines"):
            check(pair, pipeline)
        check_state(pair)
        check_sizes(pair)


@pytest.mark.parametrize("family", TYPES, ids=_name)
@settings(max_examples=70)
@given(data=st.data())
def test_it_answers_as_redis(
    family: Family, low_tendis: ServerProcess, low_redis: ServerProcess, data: st.DataObject
) -> None:
    compare(data, family, low_tendis, low_redis)


@pytest.mark.soak
@pytest.mark.parametrize("family", TYPES, ids=_name)
@settings(max_examples=2000)
@given(data=st.data())
def test_it_does_so_at_length(
    family: Family, low_tendis: ServerProcess, low_redis: ServerProcess, data: st.DataObject
) -> None:
    compare(data, family, low_tendis, low_redis)
