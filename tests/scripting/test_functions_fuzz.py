"""Payloads of FUNCTION RESTORE that nobody has dumped: refused or taken as Redis does, in bounded
memory, by a server that goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crash.test_mixed_load import check_offline
from tests.scripting.test_functions import code, codes, payload, string
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, running, tendis_process

names = st.sampled_from(["a", "b", "c", "a-b", ""])
libraries = st.builds(lambda name, function: code(name, function), names, names) | st.sampled_from(
    [b"", b"#!lua name=a\n", b"#!lua name=b\nfoo bar", b"#!lua\n", b"nonsense", b"#!lua name=a"]
)
sizes = st.one_of(
    st.integers(0, 200).map(lambda size: bytes([size % 64])),
    st.integers(0, 0x3FFF).map(lambda size: (0x4000 | size).to_bytes(2, "big")),
    st.integers(0, 2**32 - 1).map(lambda size: b"\x80" + size.to_bytes(4, "big")),
    st.integers(0, 2**48).map(lambda size: b"\x81" + size.to_bytes(8, "big")),
    st.binary(min_size=1, max_size=3),
)
"""Not up to 2 ** 64: at that redis-server crashes."""
compressed = st.builds(
    lambda text, size: b"\xc3" + sizes_of(len(text)) + sizes_of(size) + text,
    st.binary(max_size=60),
    st.integers(0, 3000),
)
strings = st.one_of(
    libraries.map(string),
    st.builds(lambda size, text: size + text, sizes, st.binary(max_size=100)),
    compressed,
)
types = st.sampled_from([b"\xf5"] * 6 + [b"\xf6", b"\xff", b"\x00", b"\xfa", b"\xf5\xc3"])
bodies = st.lists(st.builds(lambda kind, text: kind + text, types, strings), max_size=4).map(
    b"".join
)
policies = st.sampled_from(["APPEND", "REPLACE", "FLUSH"])


def sizes_of(size: int) -> bytes:
    return (0x4000 | size & 0x3FFF).to_bytes(2, "big")


@pytest.fixture
def both(tendis_default: ServerProcess, redis_server: ServerProcess) -> Iterator[list[RawClient]]:
    with tendis_default.client() as ours, redis_server.client() as theirs:
        yield [ours, theirs]
        for client in (ours, theirs):
            client.command("FUNCTION", "FLUSH")


def compare(both: list[RawClient], body: bytes, version: int, policy: str) -> None:
    outcomes = []
    for client in both:
        client.command("FUNCTION", "FLUSH")
        client.command("FUNCTION", "LOAD", code("c", "taken"))
        reply = client.command("FUNCTION", "RESTORE", payload(body, version=version), policy)
        if b"\xc3" in body:  # broken LZF of no length is an empty string to Redis
            reply = reply[:1]
        outcomes.append((reply, codes(client)))
    assert outcomes[0] == outcomes[1]


@given(bodies, st.sampled_from([12, 12, 11, 0, 13]), policies)
@settings(max_examples=60)
def test_payloads(both: list[RawClient], body: bytes, version: int, policy: str) -> None:
    compare(both, body, version, policy)


@pytest.mark.soak
@given(bodies, st.binary(max_size=200), st.data())
@settings(max_examples=5000)
def test_very_many_payloads(
    fuzzed: tuple[ServerProcess, RawClient], body: bytes, more: bytes, data: st.DataObject
) -> None:
    """Whatever is said of lengths, and wherever a byte is another one."""
    server, client = fuzzed
    at = data.draw(st.integers(0, len(body)))
    body = body[:at] + more + body[at + data.draw(st.integers(0, 3)) :]
    reply = client.command("FUNCTION", "RESTORE", payload(body), data.draw(policies))
    assert reply == b"+OK\r\n" or reply.startswith(b"-ERR "), reply
    assert b"internal" not in reply
    assert all(found.startswith(b"#!") for found in codes(client).values())
    if reply == b"+OK\r\n":
        dump = client.value("FUNCTION", "DUMP")
        assert client.command("FUNCTION", "RESTORE", dump, "FLUSH") == b"+OK\r\n"
    assert server.resident_bytes() < 500 << 20


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, RawClient]]:
    """A server whose folder is looked at in the end."""
    server = tendis_process(tmp_path_factory.mktemp("fuzzed"))
    with running(server):
        with server.client() as client:
            yield server, client
        server.stop()
        check_offline(server.folder)
