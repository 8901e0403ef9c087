"""What must hold however commands of several clients fall between each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.load import Work, together
from tests.support.resp import RawClient
from tests.support.servers import MODELS, ServerProcess, running, tendis_process, wait_until


@pytest.fixture(scope="module", params=MODELS)
def tendis(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """With more threads than by default, wherever the model allows them."""
    threads = ["--io-threads", "3", "--executor-threads", "3"]
    folder = tmp_path_factory.mktemp(f"wide-{request.param}")
    with running(tendis_process(folder, *threads, model=request.param)) as server:
        yield server


def flush(server: ServerProcess) -> None:
    with server.client() as client:
        assert client.command("FLUSHALL") == b"+OK\r\n"


def test_increments_are_counted_once_each(tendis: ServerProcess) -> None:
    flush(tendis)
    seen: list[bytes] = []

    def increment(client: RawClient) -> None:
        for depth in (1, 1, 1, 2, 5, 10, 30) * 10:
            seen.extend(client.pipeline([[b"INCR", b"counter"]] * depth))

    together(tendis.address, *[increment] * 8)
    assert len(set(seen)) == len(seen) == 8 * 500
    with tendis.client() as client:
        assert client.value("GET", "counter") == b"4000"


def test_nothing_appended_is_lost(tendis: ServerProcess) -> None:
    flush(tendis)

    def append(letter: bytes) -> Work:
        def work(client: RawClient) -> None:
            for _ in range(100):
                client.pipeline([[b"APPEND", b"log", letter], [b"APPEND", b"log2", letter]])

        return work

    letters = [b"a", b"b", b"c", b"d", b"e", b"f"]
    together(tendis.address, *map(append, letters))
    with tendis.client() as client:
        for log in ("log", "log2"):
            assert Counter(client.value("GET", log)) == {ord(letter): 100 for letter in letters}


def test_several_keys_are_written_and_read_as_one(tendis: ServerProcess) -> None:
    """The keys are named in different orders, so that locks taken one by one would cross."""
    flush(tendis)
    names = [b"pair:%d" % index for index in range(6)]

    def write(offset: int) -> Work:
        order = names[offset:] + names[:offset]

        def work(client: RawClient) -> None:
            for number in range(150):
                value = b"%d:%d" % (offset, number)
                client.command("MSET", *[part for name in order for part in (name, value)])

        return work

    def read(client: RawClient) -> None:
        for _ in range(150):
            for reply in client.pipeline([[b"MGET", *names], [b"MGET", *reversed(names)]]):
                values = reply.split(b"\r\n")[2::2]
                assert len(values) >= 6 or b"$-1" in reply
                assert len(set(values[:6])) == 1 or reply.count(b"$-1") == 6, reply

    together(tendis.address, write(0), write(2), write(4), read, read)


def test_a_token_is_taken_once(tendis: ServerProcess) -> None:
    flush(tendis)
    tokens = [b"token:%d" % number for number in range(300)]
    with tendis.client() as client:
        client.pipeline([[b"SET", token, token] for token in tokens])
    taken: list[bytes] = []

    def take(client: RawClient) -> None:
        for first in range(0, 300, 10):
            replies = client.pipeline([[b"GETDEL", token] for token in tokens[first : first + 10]])
            taken.extend(reply for reply in replies if reply != b"$-1\r\n")

    together(tendis.address, *[take] * 5)
    assert len(taken) == len(set(taken)) == 300


def test_one_of_many_wins(tendis: ServerProcess) -> None:
    """SETNX, SET NX and MSETNX for the same keys."""
    flush(tendis)
    won: list[int] = []

    def claim(client: RawClient) -> None:
        for number in range(200):
            name = b"lock:%d" % number
            request = (
                [b"SETNX", name, b"1"],
                [b"SET", name, b"1", b"NX"],
                [b"MSETNX", name, b"1", b"other:%d" % number, b"1"],
            )[(number + id(client)) % 3]
            if client.command(*request) in (b":1\r\n", b"+OK\r\n"):
                won.append(number)

    together(tendis.address, *[claim] * 5)
    assert sorted(won) == list(range(200))


def test_emptying_databases_meanwhile_does_no_harm(tendis: ServerProcess) -> None:
    """Commands that claim every key, among ones that claim few: DBSIZE stays true."""
    flush(tendis)

    def write(client: RawClient) -> None:
        for number in range(200):
            client.pipeline(
                [
                    [b"SET", b"w:%d" % (number % 50), b"v", b"PX", b"30"],
                    [b"INCR", b"n:%d" % (number % 20)],
                    [b"RENAME", b"n:%d" % (number % 20), b"m:%d" % (number % 20)],
                    [b"DEL", b"m:%d" % (number % 7)],
                ]
            )

    def upset(client: RawClient) -> None:
        for number in range(60):
            client.command(*([b"SWAPDB", b"0", b"1"], [b"FLUSHDB"], [b"FLUSHALL"])[number % 3])
            client.command("KEYS", "*")
            client.command("RANDOMKEY")

    together(tendis.address, write, write, write, upset)
    with tendis.client() as client:
        for database in (0, 1):
            client.command("SELECT", database)
            wait_until(lambda: client.value("KEYS", "w:*") == [], "their deadlines have passed")
            client.pipeline([[b"EXISTS", b"w:%d" % number] for number in range(50)])
            assert client.value("DBSIZE") == len(client.value("KEYS", "*"))


def test_replies_come_in_the_order_of_their_requests(tendis: ServerProcess) -> None:
    """Also where part of a pipeline goes by the slow lane, which others keep the executors from."""
    flush(tendis)

    def mixed(client: RawClient) -> None:
        for number in range(150):
            request = [[b"SETEX", b"k", b"100", b"%d" % number], [b"KEYS", b"none*"]]
            replies = client.pipeline([*request, [b"ECHO", b"%d" % number], *request, [b"PING"]])
            setex, keys = b"+OK\r\n", b"*0\r\n"
            echo = b"$%d\r\n%d\r\n" % (len(str(number)), number)
            assert replies == [setex, keys, echo, setex, keys, b"+PONG\r\n"]

    together(tendis.address, *[mixed] * 5)
