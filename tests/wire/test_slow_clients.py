"""Clients that do not read, trickle, vanish, or send very many commands at once."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tendis_py.stages.connection import OUTBOX_BYTES
from tests.support.embedded import config_for, embedded
from tests.support.load import bystander, connections, wait_until_read
from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import MODELS, ServerProcess, wait_until

MB = 1024 * 1024
PING = encode_request([b"PING"])
GET_BIG = encode_request([b"GET", b"big"])


def send_until_refused(client: RawClient, data: bytes, most: int) -> int:
    """Send ``data`` over and over without reading; how often until the socket took no more for
    half a second."""
    client.socket.settimeout(0.5)
    for count in range(most):
        try:
            client.send(data)
        except TimeoutError:
            return count
    return most


def unread(observer: RawClient, client: RawClient) -> int | None:
    """Bytes of replies that ``client`` has left with the server, by CLIENT LIST; None when it is
    not connected any more."""
    address = "{}:{}".format(*client.socket.getsockname()).encode()
    for line in observer.value("CLIENT", "LIST").splitlines():
        fields = dict(field.partition(b"=")[::2] for field in line.split(b" "))
        if fields[b"addr"] == address:
            return int(fields[b"omem"])
    return None


def wait_until_full(observer: RawClient, client: RawClient) -> None:
    """Until as many replies wait for ``client`` as may, and for 200 of the server's turns more, in
    which it might make others."""
    wait_until(lambda: (unread(observer, client) or 0) > OUTBOX_BYTES, "as much waits as may")
    for _ in range(200):
        observer.command("PING")


def reset(client: RawClient) -> None:
    """Close with a TCP reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_client_that_never_reads_is_bounded(tendis: ServerProcess) -> None:
    """It asks for 2 GB; its requests wait once OUTBOX_BYTES of replies do. When it is gone, another
    like it needs no more memory."""
    with tendis.client() as client:
        assert client.command("SET", "big", b"x" * MB) == b"+OK\r\n"
    before = tendis.resident_bytes()
    with bystander(tendis):
        for _ in range(2):
            with tendis.client() as client, tendis.client() as observer:
                client.command("PING")
                client.send(GET_BIG * 2000)
                wait_until_full(observer, client)
                grown = tendis.resident_bytes() - before
                assert grown < OUTBOX_BYTES + 40 * MB, f"{grown // MB} MB"
                for _ in range(120):  # it was only late: all is there
                    assert len(client.reply()) == MB + 12


def test_a_client_that_sends_more_than_it_reads_is_held_back(
    tendis_default: ServerProcess,
) -> None:
    """Small replies: what bounds memory is that its input is not read any more."""
    with tendis_default.client() as client:
        client.command("SET", "kilo", b"x" * 1000)
    request = encode_request([b"GET", b"kilo"])
    before = tendis_default.resident_bytes()
    with bystander(tendis_default), tendis_default.client() as client:
        sent = send_until_refused(client, request * 10_000, 100)
        assert sent < 100, "100 MB of requests for 1 GB of replies were all taken"
        assert tendis_default.resident_bytes() - before < OUTBOX_BYTES + 60 * MB


def test_a_request_may_come_one_byte_at_a_time(tendis: ServerProcess) -> None:
    data = encode_request([b"SET", b"trickle", b"value"]) + b"GET trickle\r\n" + PING
    with bystander(tendis), tendis.client() as client:
        client.command("PING")
        for at in range(len(data)):
            client.send(data[at : at + 1])
            wait_until_read(tendis, client)
        assert [client.reply() for _ in range(3)] == [
            b"+OK\r\n",
            b"$5\r\nvalue\r\n",
            b"+PONG\r\n",
        ]


def test_clients_may_vanish_in_the_middle_of_a_reply(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.command("SET", "big", b"x" * MB)
    with bystander(tendis):
        for _ in range(50):
            client = tendis.client()
            client.send(GET_BIG * random.randint(1, 30))
            if random.random() < 0.5:
                client.socket.recv(1000)
            reset(client)


def test_clients_may_vanish_in_the_middle_of_a_request(tendis: ServerProcess) -> None:
    request = encode_request([b"SET", b"half", b"x" * 1000])
    with bystander(tendis):
        for _ in range(100):
            client = tendis.client()
            client.send(PING * 3 + request[: random.randrange(len(request))])
            (reset if random.random() < 0.5 else RawClient.close)(client)
        with tendis.client() as client:
            assert client.command("GET", "half") == b"$-1\r\n"


@pytest.mark.parametrize("model", MODELS)
def test_no_connection_is_left_behind(tmp_path: Path, model: str) -> None:
    with embedded(config_for(tmp_path, threading_model=model)) as server:
        address = ("127.0.0.1", server.port)
        for _ in range(30):
            with connections(address, 3) as (quiet, loud, half):
                assert quiet.command("PING") == b"+PONG\r\n"
                loud.send(PING * 1000)
                half.send(b"*2\r\n$3\r\nGET\r\n$5\r\nab")
                reset(loud)
        clients = server.services.clients
        wait_until(
            lambda: clients.accepted == 90 and not len(clients),
            "all connections are closed",
        )
        assert not any(reactor.connections for reactor in server.reactors)


def test_half_closing_does_not_lose_replies(tendis: ServerProcess) -> None:
    """As in ``printf … | nc``: everything is sent, then the client's side is closed."""
    with tendis.client() as client:
        client.command("SET", "kilo", b"x" * 1000)
    requests = encode_request([b"GET", b"kilo"]) * 20_000 + b"PING\r\n"
    with tendis.client() as client:

        def send_and_shut() -> None:
            client.send(requests)
            client.socket.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send_and_shut)
        sender.start()
        answer = client.until_closed()
        sender.join(10.0)
    assert answer == b"$1000\r\n%b\r\n" % (b"x" * 1000) * 20_000 + b"+PONG\r\n"


def test_telnet_may_be_used(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.send(b"\r\n  set telnet \"a \\x41\"\r\nGET telnet\nget 'telnet'\r\n")
        assert [client.reply() for _ in range(3)] == [b"+OK\r\n", *[b"$3\r\na A\r\n"] * 2]


def test_very_many_commands_at_once(tendis: ServerProcess) -> None:
    """Sent by one thread, read by another; others get their turns."""
    count = 300_000
    with bystander(tendis), tendis.client(seconds=60.0) as client:
        sender = threading.Thread(target=client.send, args=(PING * count,))
        sender.start()
        answer = client.exactly(7 * count)
        sender.join(60.0)
    assert answer == b"+PONG\r\n" * count


def test_very_many_commands_in_a_redis_py_pipeline(tendis_default: ServerProcess) -> None:
    """redis-py sends everything before it reads anything."""
    client = redis.Redis(port=tendis_default.port, protocol=2, socket_timeout=120)
    with client, bystander(tendis_default):
        pipeline = client.pipeline(transaction=False)
        for number in range(300_000):
            pipeline.set(f"key:{number % 1000}", number)
        assert all(pipeline.execute())
        assert client.get("key:999") == b"299999"
    with tendis_default.client() as raw:
        raw.command("FLUSHALL")


def test_many_connections_at_once(tendis: ServerProcess) -> None:
    with bystander(tendis), connections(tendis.address, 1000) as clients:
        for index, client in enumerate(clients):
            client.send(encode_request([b"SET", b"many:%d" % index, b"%d" % index]))
        for client in clients:
            assert client.reply() == b"+OK\r\n"
        for index, client in enumerate(clients):
            client.send(encode_request([b"GET", b"many:%d" % index]))
        for index, client in enumerate(clients):
            assert client.reply() == b"$%d\r\n%d\r\n" % (len(str(index)), index)


def test_replies_stay_in_order_under_mixed_sizes(tendis: ServerProcess) -> None:
    """Large replies end a connection's turn, and what follows them waits: still in order."""
    sizes = [0, 10, 70_000, 1, 300_000, 5, 65_536, 65_537, 2] * 20
    with tendis.client(seconds=30.0) as client:
        requests = []
        for number, size in enumerate(sizes):
            value = b"%06d" % number + b"v" * size
            requests += [[b"SET", b"order", value], [b"GET", b"order"]]
        sender = threading.Thread(
            target=client.send, args=(b"".join(map(encode_request, requests)),)
        )
        sender.start()
        for number, size in enumerate(sizes):
            assert client.reply() == b"+OK\r\n"
            assert client.reply()[-size - 8 :] == b"%06d" % number + b"v" * size + b"\r\n"
        sender.join(10.0)


def test_the_server_may_close_first(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        client.send(b"*1\r\n:1\r\n")
        client.reply()
        assert client.until_closed() == b""
        with pytest.raises((Disconnected, ConnectionError)):
            client.pipeline([[b"PING"]] * 10)


@contextlib.contextmanager
def setting(server: ServerProcess, name: str, value: str) -> Iterator[RawClient]:
    """A client, while a setting has another value."""
    with server.client() as admin:
        (_, before) = admin.value("CONFIG", "GET", name)
        assert admin.command("CONFIG", "SET", name, value) == b"+OK\r\n"
        try:
            yield admin
        finally:
            admin.command("CONFIG", "SET", name, before)


def closes(client: RawClient, seconds: float = 5.0) -> bool:
    """Whether the server ends the connection in time, whatever it sends before."""
    client.socket.settimeout(seconds)
    try:
        client.until_closed()
    except TimeoutError:
        return False
    return True


def test_a_limit_on_output_closes_who_does_not_read(tendis: ServerProcess) -> None:
    with setting(tendis, "client-output-buffer-limit", "normal 2mb 0 0") as admin:
        admin.command("SET", "big", b"x" * MB)
        with bystander(tendis), tendis.client() as lazy, tendis.client() as eager:
            lazy.send(GET_BIG * 100)
            for _ in range(20):
                assert len(eager.command("GET", "big")) == MB + 12
            wait_until(lambda: unread(admin, lazy) is None, "it is closed")
            assert closes(lazy)
        with tendis.client() as again:
            assert again.command("PING") == b"+PONG\r\n"


def test_a_limit_on_input_closes_who_sends_too_much_at_once(tendis: ServerProcess) -> None:
    with (
        setting(tendis, "client-query-buffer-limit", "1mb"),
        bystander(tendis),
        tendis.client() as client,
    ):
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (8 * MB))
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.send(b"x" * (8 * MB))
        assert closes(client)
        with tendis.client() as again:
            assert again.command("EXISTS", "k") == b":0\r\n"
            for _ in range(100):  # much, but not at once
                assert again.command("SET", "k", b"x" * 100_000) == b"+OK\r\n"


def test_idle_clients_are_closed_after_the_timeout(tendis: ServerProcess) -> None:
    with setting(tendis, "timeout", "1") as admin, tendis.client() as idle:
        assert idle.command("PING") == b"+PONG\r\n"

        def others_are_served() -> bool:
            assert admin.command("PING") == b"+PONG\r\n"
            return idle.has_more()

        wait_until(others_are_served, "it is closed")
        assert idle.until_closed() == b""
