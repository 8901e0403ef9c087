"""Random elements with repetitions: no more than a reply can hold."""

from __future__ import annotations

import pytest

from tests.support.servers import ServerProcess


@pytest.mark.parametrize(
    "request_",
    [("HRANDFIELD", "h"), ("SRANDMEMBER", "s"), ("ZRANDMEMBER", "z")],
)
def test_a_reply_without_end_is_refused(
    tendis_default: ServerProcess, request_: tuple[str, str]
) -> None:
    with tendis_default.client() as client:
        client.pipeline([[b"HSET", b"h", b"f", b"v"], [b"SADD", b"s", b"m"]])
        client.command("ZADD", "z", "1", "m")
        refused = client.command(*request_, -(1 << 40))
        assert refused == b"-ERR value is out of range\r\n"
        assert client.command(*request_, -1000).startswith(b"*1000\r\n")
        client.command("DEL", "h", "s", "z")
