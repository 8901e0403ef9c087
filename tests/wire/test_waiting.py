"""Commands that wait, in every threading model: crowds, who leaves, who is unblocked, many threads.
Who is served, and with what, is in transcripts/waiting.txt and tests/model/test_clients.py."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.load import together
from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import ServerProcess, wait_until


def send(client: RawClient, *lines: str) -> None:
    client.send(b"".join(encode_request(line.encode().split()) for line in lines))


def figure(client: RawClient, section: str, name: str) -> int:
    return int(re.findall(rb"%b:(\d+)" % name.encode(), client.value("INFO", section))[0])


def blocked(client: RawClient) -> int:
    return figure(client, "clients", "blocked_clients")


@pytest.fixture
def control(tendis: ServerProcess) -> Iterator[RawClient]:
    with tendis.client() as client:
        assert client.command("FLUSHALL") == b"+OK\r\n"
        yield client
        wait_until(lambda: blocked(client) == 0, "nobody waits any more")


@contextlib.contextmanager
def crowd(
    server: ServerProcess, control: RawClient, number: int, *lines: str
) -> Iterator[list[RawClient]]:
    """Clients that wait, one after the other."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = stack.enter_context(server.client())
            send(client, *lines)
            clients.append(client)
            wait_until(lambda: blocked(control) == len(clients), "it waits")
        yield clients


def test_a_crowd_is_served_in_order(tendis: ServerProcess, control: RawClient) -> None:
    with crowd(tendis, control, 40, "BLPOP a b 0") as clients:
        assert figure(control, "clients", "total_blocking_keys") == 2
        control.command("RPUSH", "a", *range(25))
        control.command("RPUSH", "b", *range(25, 50))
        found = [client.reply() for client in clients]
        numbers = [int(reply.rsplit(b"\r\n", 2)[1]) for reply in found]
        assert numbers == list(range(40))
        assert control.value("LRANGE", "b", 0, -1) == [b"%d" % n for n in range(40, 50)]


def test_a_push_for_very_many_is_served_in_order(tendis: ServerProcess, control: RawClient) -> None:
    """It runs on the slow lane, and serves more than are served at once, several times over."""
    values = [b"%d" % number for number in range(5000)]
    with crowd(tendis, control, 220, "BLPOP a 0") as clients:
        assert control.command("RPUSH", "a", *values) == b":5000\r\n"
        found = [client.reply().rsplit(b"\r\n", 2)[1] for client in clients]
        assert found == values[:220]
        assert control.command("LLEN", "a") == b":4780\r\n"


def test_all_who_read_a_stream_get_what_comes(tendis: ServerProcess, control: RawClient) -> None:
    """More of them than are served at once."""
    with crowd(tendis, control, 130, "XREAD BLOCK 0 STREAMS s $") as clients:
        control.command("XADD", "s", "1-1", "f", "v")
        entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
        assert {client.reply() for client in clients} == {entry}


def test_who_has_left_takes_nothing(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as stays:
        with tendis.client() as leaves:
            send(leaves, "BLPOP a 0")
            wait_until(lambda: blocked(control) == 1, "it waits")
            send(stays, "BLPOP a 0")
            wait_until(lambda: blocked(control) == 2, "both wait")
        wait_until(lambda: blocked(control) == 1, "it is gone")
        control.command("RPUSH", "a", "1")
        assert stays.reply() == b"*2\r\n$1\r\na\r\n$1\r\n1\r\n"


def test_whoever_is_killed_takes_nothing(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as client:
        number = client.value("CLIENT", "ID")
        send(client, "BLPOP a 0")
        wait_until(lambda: blocked(control) == 1, "it waits")
        assert control.command("CLIENT", "KILL", "ID", number) == b":1\r\n"
        with pytest.raises(Disconnected):
            client.reply()
    assert control.command("RPUSH", "a", "1") == b":1\r\n"
    assert control.command("LLEN", "a") == b":1\r\n"


def test_unblocked_by_others(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as client:
        number = client.value("CLIENT", "ID")
        for reason, reply in (
            (["TIMEOUT"], b"*-1\r\n"),
            ([], b"*-1\r\n"),
            (["ERROR"], b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
        ):
            send(client, "BLPOP a 0", "PING")
            wait_until(lambda: blocked(control) == 1, "it waits")
            (line,) = [
                line
                for line in control.value("CLIENT", "LIST").splitlines()
                if line.startswith(b"id=%d " % number)
            ]
            assert b" flags=b " in line
            assert b" cmd=blpop " in line
            assert control.command("CLIENT", "UNBLOCK", number, *reason) == b":1\r\n"
            assert [client.reply(), client.reply()] == [reply, b"+PONG\r\n"]
            assert control.command("CLIENT", "UNBLOCK", number, *reason) == b":0\r\n"


def test_what_is_sent_meanwhile_runs_afterwards(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as client:
        send(client, "SET x 1", "BLPOP a 0", "INCR x", "BLPOP b 0", "INCR x")
        assert client.reply() == b"+OK\r\n"
        wait_until(lambda: blocked(control) == 1, "it waits")
        send(client, "INCR x")
        assert control.command("GET", "x") == b"$1\r\n1\r\n"
        control.command("RPUSH", "b", "v")
        control.command("RPUSH", "a", "v")
        assert [client.reply() for _ in range(5)] == [
            *(b"*2\r\n$1\r\na\r\n$1\r\nv\r\n", b":2\r\n", b"*2\r\n$1\r\nb\r\n$1\r\nv\r\n"),
            *(b":3\r\n", b":4\r\n"),
        ]


def test_a_pipeline_of_the_pusher_sees_who_was_served(
    tendis: ServerProcess, control: RawClient
) -> None:
    for _ in range(20):
        with tendis.client() as client:
            send(client, "BLPOP a 0")
            wait_until(lambda: blocked(control) == 1, "it waits")
            replies = control.pipeline(
                [[b"RPUSH", b"a", b"1", b"2"], [b"LRANGE", b"a", b"0", b"-1"]]
            )
            assert replies == [b":2\r\n", b"*1\r\n$1\r\n2\r\n"]
            assert client.reply() == b"*2\r\n$1\r\na\r\n$1\r\n1\r\n"
            control.command("DEL", "a")


def test_a_run_of_pushes_serves(tendis: ServerProcess, control: RawClient) -> None:
    with crowd(tendis, control, 3, "BLPOP a 0") as clients:
        control.pipeline([[b"RPUSH", b"a", b"%d" % number] for number in range(8)])
        replies = [client.reply() for client in clients]
        assert replies == [b"*2\r\n$1\r\na\r\n$1\r\n%d\r\n" % number for number in range(3)]
        assert control.command("LLEN", "a") == b":5\r\n"


def test_replies_that_are_off_stay_off(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as client:
        send(client, "CLIENT REPLY SKIP", "BLPOP a 0", "PING")
        wait_until(lambda: blocked(control) == 1, "it waits")
        control.command("RPUSH", "a", "1")
        assert client.reply() == b"+PONG\r\n"


def test_nothing_is_lost_and_nothing_served_twice(tendis: ServerProcess) -> None:
    """Pushers, waiters with several keys, movers and those who only pop, all at once."""
    count, popped = 300, []
    with tendis.client() as control:
        control.command("FLUSHALL")

        def push(key: str, start: int) -> Callable[[RawClient], None]:
            def work(client: RawClient) -> None:
                for number in range(start, start + count):
                    client.command("RPUSH", key, number)

            return work

        def pop(*request: str) -> Callable[[RawClient], None]:
            def work(client: RawClient) -> None:
                while (reply := client.value(*request)) is not None:
                    value = reply[1] if isinstance(reply, list) else reply
                    if value == b"end":
                        return
                    popped.append(value)

            return work

        def move(client: RawClient) -> None:
            while client.value("BLMOVE", "a", "c", "LEFT", "RIGHT", "0") != b"end":
                pass

        waiters = [pop("BLPOP", "b", "c", "0"), pop("BRPOP", "c", "b", "0"), pop("BLPOP", "c", "0")]

        def finish() -> None:
            wait_until(lambda: len(popped) == 3 * count, "all is popped")
            control.command("RPUSH", "a", "end")
            for _ in waiters:
                control.command("RPUSH", "c", "end")

        end = threading.Thread(target=finish)
        end.start()
        together(
            tendis.address, push("a", 0), push("b", count), push("c", 2 * count), move, *waiters
        )
        end.join()
        assert sorted(map(int, popped)) == list(range(3 * count))
        control.command("FLUSHALL")


def test_who_can_not_be_served_at_once_keeps_its_place(
    tendis: ServerProcess, control: RawClient
) -> None:
    """The destination of a move is another thread's, now and then."""
    rounds = 50
    with tendis.client() as mover, tendis.client() as second:

        def busy(client: RawClient) -> None:
            for _ in range(rounds * 20):
                client.command("APPEND", "z", "x")

        def feed(client: RawClient) -> None:
            for number in range(rounds):
                send(mover, "BLMOVE a b LEFT RIGHT 0")
                wait_until(lambda: blocked(control) == 1, "the first waits")
                send(second, "BLPOP a 0")
                wait_until(lambda: blocked(control) == 2, "the second waits")
                client.command("RPUSH", "a", f"{number}.1")
                client.command("RPUSH", "a", f"{number}.2")
                first, then = b"%d.1" % number, b"%d.2" % number
                assert mover.reply().endswith(first + b"\r\n")
                assert second.reply().endswith(then + b"\r\n")

        together(tendis.address, busy, feed)
        assert control.command("LLEN", "b") == b":%d\r\n" % rounds


def test_who_is_served_and_subscribed_hears_of_it_in_order(
    tendis: ServerProcess, control: RawClient
) -> None:
    """Whichever reactors the two clients have."""
    told = [(b"list", b"rpush"), (b"other", b"lpush"), (b"list", b"lpop"), (b"list", b"del")]
    control.command("CONFIG", "SET", "notify-keyspace-events", "KA")
    for _ in range(12):
        with tendis.client(protocol=3) as waiting, tendis.client() as pushing:
            waiting.command("PSUBSCRIBE", "__keyspace@0__:*")
            waiting.request("BLMOVE", "list", "other", "LEFT", "LEFT", 0)
            wait_until(lambda: blocked(control) == 1, "it waits")
            pushing.command("RPUSH", "list", "a")
            found = b"".join(waiting.reply() for _ in range(5))
            assert re.findall(rb"keyspace@0__:(\w+)\r\n\$\d+\r\n(\w+)\r\n", found) == told
        control.command("DEL", "other")
    control.command("CONFIG", "SET", "notify-keyspace-events", "")
