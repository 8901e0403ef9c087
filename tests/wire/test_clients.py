"""CLIENT, AUTH and HELLO where it takes several connections, pipelines or settings; the real
server says what is right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.reference import split_arguments
from tests.support.resp import Disconnected, RawClient, decode, encode_request
from tests.support.servers import ServerProcess, wait_until


@pytest.fixture(params=["redis", "tendis-py"])
def either(request: pytest.FixtureRequest) -> ServerProcess:
    """Both servers in turn: what a test expects is what Redis does."""
    name = "redis_server" if request.param == "redis" else "tendis_default"
    server = request.getfixturevalue(name)
    assert isinstance(server, ServerProcess)
    return server


def pipelined(client: RawClient, *lines: str) -> bytes:
    """What comes back for all lines and a PING of our own, which is left out."""
    requests = [split_arguments(line.encode()) for line in (*lines, "PING end")]
    client.send(b"".join(map(encode_request, requests)))
    received = b""
    while not received.endswith(b"$3\r\nend\r\n"):
        received += client.reply()
    return received.removesuffix(b"$3\r\nend\r\n")


# CLIENT REPLY


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["CLIENT REPLY OFF", "PING", "CLIENT REPLY ON", "PING"], b"+OK\r\n+PONG\r\n"),
        (["CLIENT REPLY SKIP", "PING a", "PING"], b"+PONG\r\n"),
        (["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING a", "PING"], b"+PONG\r\n"),
        (["CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"], b"+OK\r\n+PONG\r\n"),
        (["CLIENT REPLY SKIP", "CLIENT REPLY OFF", "PING", "CLIENT REPLY ON"], b"+OK\r\n"),
        (
            ["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY ON"],
            b"+OK\r\n",
        ),
        (["CLIENT REPLY OFF", "NOSUCH", "GET", "CLIENT REPLY X", "CLIENT REPLY ON"], b"+OK\r\n"),
        (["CLIENT REPLY SKIP", "NOSUCH", "PING"], b"+PONG\r\n"),
        (["CLIENT REPLY SKIP", "GET", "PING"], b"+PONG\r\n"),
        (["CLIENT REPLY SKIP", "CLIENT REPLY X", "PING"], b"+PONG\r\n"),
        (["CLIENT REPLY OFF", "RESET", "PING"], b"+RESET\r\n+PONG\r\n"),
        (["CLIENT REPLY SKIP", "RESET", "PING"], b"+PONG\r\n"),
        (
            ["CLIENT REPLY OFF", "SET k 1", "INCR k", "CLIENT REPLY ON", "GET k"],
            b"+OK\r\n$1\r\n2\r\n",
        ),
    ],
)
def test_client_reply(either: ServerProcess, lines: list[str], expected: bytes) -> None:
    with either.client() as client:
        assert pipelined(client, *lines) == expected


# CLIENT KILL


def closed(client: RawClient) -> bool:
    try:
        return client.until_closed() == b""
    except TimeoutError:
        return False


def address(client: RawClient) -> str:
    host, port = client.socket.getsockname()
    return f"{host}:{port}"


def test_a_killed_client_is_gone_at_once(tendis: ServerProcess) -> None:
    with tendis.client() as killer:
        for _ in range(8):  # on every reactor
            with tendis.client() as victim:
                number = victim.value("CLIENT", "ID")
                assert killer.command("CLIENT", "KILL", "ID", number) == b":1\r\n"
                assert killer.command("CLIENT", "LIST", "ID", number) == b"$0\r\n\r\n"
                assert killer.command("CLIENT", "KILL", "ID", number) == b":0\r\n"
                assert closed(victim)


def test_the_old_form_takes_an_address(either: ServerProcess) -> None:
    with either.client() as killer, either.client() as victim:
        victim.command("PING")
        assert killer.command("CLIENT", "KILL", address(victim)) == b"+OK\r\n"
        assert closed(victim)
        assert killer.value("CLIENT", "KILL", address(victim)).message == "ERR No such client"


def test_who_kills_itself_is_answered_first(either: ServerProcess) -> None:
    with either.client() as client:
        requests = [["SET", "a", "1"], ["CLIENT", "KILL", address(client)], ["SET", "a", "2"]]
        client.send(b"".join(encode_request([w.encode() for w in r]) for r in requests))
        assert [client.reply(), client.reply()] == [b"+OK\r\n", b"+OK\r\n"]
        assert closed(client)
    with either.client() as client:
        assert client.command("GET", "a") == b"$1\r\n1\r\n", "what came after it was not run"


def test_the_new_form_spares_its_own_client(either: ServerProcess) -> None:
    with either.client() as client:
        number = client.value("CLIENT", "ID")
        assert client.command("CLIENT", "KILL", "ID", number) == b":0\r\n"
        assert client.command("CLIENT", "KILL", "ID", number, "SKIPME", "no") == b":1\r\n"
        assert closed(client)


def test_filters_are_combined(either: ServerProcess) -> None:
    with either.client() as killer, either.client() as victim:
        kill = ["CLIENT", "KILL", "ID", victim.value("CLIENT", "ID")]
        assert killer.command(*kill, "TYPE", "master") == b":0\r\n"
        assert killer.command(*kill, "ADDR", address(killer)) == b":0\r\n"
        assert killer.command(*kill, "LADDR", address(victim)) == b":0\r\n"
        assert killer.command(*kill, "MAXAGE", 1000) == b":0\r\n"
        local = "{}:{}".format(*victim.socket.getpeername())
        matching = ["TYPE", "normal", "ADDR", address(victim), "LADDR", local, "USER", "default"]
        assert killer.command(*kill, *matching) == b":1\r\n"
        assert closed(victim)


def test_clients_come_and_go_while_others_are_killed(tendis: ServerProcess) -> None:
    """Every place comes back, whoever closes the connection first."""
    with tendis.client() as killer:
        for _ in range(5):
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(tendis.client()) for _ in range(20)]
                for client in clients:
                    client.command("PING")  # or it might be accepted once "all are gone"
                for client in clients[::2]:
                    client.close()
                killer.command("CLIENT", "KILL", "TYPE", "normal")
        wait_until(lambda: killer.value("CLIENT", "LIST").count(b"\n") == 1, "all are gone")
        assert b"connected_clients:1\r\n" in killer.value("INFO", "clients")


# CLIENT LIST


def fields(line: bytes) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.decode().split())


def test_fields_of_client_list(redis_server: ServerProcess, tendis: ServerProcess) -> None:
    seen = []
    for server in (redis_server, tendis):
        with server.client(protocol=3) as client:
            client.command("CLIENT", "SETNAME", "joe")
            client.command("CLIENT", "SETINFO", "LIB-NAME", "lib")
            client.command("CLIENT", "SETINFO", "LIB-VER", "1.2")
            client.command("CLIENT", "NO-EVICT", "ON")
            client.command("CLIENT", "NO-TOUCH", "ON")
            client.command("SELECT", 3)
            found = fields(client.value("CLIENT", "INFO").removeprefix(b"txt:"))
            assert found["addr"] == address(client)
            assert found["laddr"] == "{}:{}".format(*client.socket.getpeername())
            assert found["id"] == str(client.value("CLIENT", "ID"))
            seen.append(found)
    redis, ours = seen
    assert list(ours) == list(redis), "the same fields in the same order"
    alike = "name age idle flags db sub psub ssub multi watch multi-mem obl oll omem events cmd "
    alike += "user redir resp lib-name lib-ver"
    assert {name: ours[name] for name in alike.split()} == {
        name: redis[name] for name in alike.split()
    }


def test_client_list_knows_the_others(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other:
        number = other.value("CLIENT", "ID")
        other.command("CLIENT", "SETNAME", "other")
        assert other.command("GET", "nothing") == b"$-1\r\n"
        line = fields(client.value("CLIENT", "LIST", "ID", number))
        assert line["name"] == "other"
        assert line["cmd"] == "get"
        requests = ["CLIENT ID", "CLIENT SETNAME other", "GET nothing"]
        sent = b"".join(encode_request(request.encode().split()) for request in requests)
        assert int(line["tot-net-in"]) == len(sent)
        assert int(line["tot-net-out"]) == len(b":%d\r\n+OK\r\n$-1\r\n" % number)
        assert line["tot-cmds"] == "3"


def test_unsent_replies_show_in_client_list(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other:
        client.command("SET", "big", b"x" * 1_000_000)
        number = other.value("CLIENT", "ID")
        other.send(encode_request([b"GET", b"big"]) * 30)

        def unsent() -> bool:
            line = fields(client.value("CLIENT", "LIST", "ID", number))
            return int(line["omem"]) > 1_000_000 and line["events"] == "rw" and line["oll"] != "0"

        wait_until(unsent, "replies pile up")
        client.command("DEL", "big")


# AUTH


@pytest.fixture
def locked(either: ServerProcess) -> Iterator[ServerProcess]:
    """A server whose password may be changed: at the end it has none."""
    with either.client() as client:
        yield either
        assert client.command("CONFIG", "SET", "requirepass", "") == b"+OK\r\n"


def test_a_password_is_for_who_comes_later(locked: ServerProcess) -> None:
    with locked.client() as early:
        early.command("CONFIG", "SET", "requirepass", "one")
        assert early.command("PING") == b"+PONG\r\n"
        assert early.value("AUTH", "two").message.startswith("WRONGPASS")
        assert early.command("PING") == b"+PONG\r\n", "a failure takes nothing away"
        with locked.client() as late:
            assert late.value("PING").message == "NOAUTH Authentication required."
            assert late.command("AUTH", "one") == b"+OK\r\n"
            early.command("CONFIG", "SET", "requirepass", "two")
            assert late.command("PING") == b"+PONG\r\n"
            assert late.command("RESET") == b"+RESET\r\n"
            assert late.value("PING").message == "NOAUTH Authentication required."


def test_who_waits_at_the_door_may_enter_while_it_is_open(locked: ServerProcess) -> None:
    with locked.client() as early:
        early.command("CONFIG", "SET", "requirepass", "one")
        with locked.client() as late:
            assert late.value("PING").message.startswith("NOAUTH")
            early.command("CONFIG", "SET", "requirepass", "")
            assert late.command("PING") == b"+PONG\r\n"
            assert late.command("MGET", *"abcdefghijklmn").startswith(b"*14\r\n")
            early.command("CONFIG", "SET", "requirepass", "two")
            assert late.value("PING").message.startswith("NOAUTH"), "it never authenticated"


@pytest.mark.parametrize(
    "lines",
    [
        ["AUTH one", "PING"],
        ["AUTH default one", "PING"],
        ["AUTH wrong", "AUTH default wrong", "AUTH nobody one", "AUTH a b c", "AUTH", "PING"],
        ["HELLO", "HELLO 3", "HELLO 5", "HELLO x", "HELLO 3 SETNAME a", 'HELLO 3 SETNAME "a b"'],
        ["HELLO 3 FOO", "HELLO 3 AUTH default", "HELLO 3 AUTH default wrong", "PING"],
        ["HELLO 3 AUTH default wrong SETNAME a", "AUTH one", "CLIENT GETNAME"],
        ["HELLO 2 SETNAME a AUTH default one FOO", "PING"],
        ["NOSUCH", "GET", "GET a", "CLIENT", "CLIENT NOSUCH", "CLIENT ID", "COMMAND COUNT"],
        ["AUTH one", "CLIENT SETNAME a", "CLIENT NO-TOUCH ON", "SELECT 3", "RESET", "AUTH one"],
        ["RESET", "QUIT"],
    ],
)
def test_the_door(
    redis_server: ServerProcess, tendis_default: ServerProcess, lines: list[str]
) -> None:
    assert knock(tendis_default, lines) == knock(redis_server, lines)


def knock(server: ServerProcess, lines: list[str]) -> list[bytes]:
    """The replies to a client that comes while there is a password."""
    with server.client() as owner:
        owner.command("CONFIG", "SET", "requirepass", "one")
        try:
            with server.client() as client:
                replies = [client.command(*split_arguments(line.encode())) for line in lines]
                if lines[-1] == "QUIT":
                    with pytest.raises((Disconnected, ConnectionError)):
                        client.command("PING")
                return replies
        finally:
            owner.command("CONFIG", "SET", "requirepass", "")


def test_hello_describes_the_server(either: ServerProcess) -> None:
    with either.client() as client:
        for protocol in (3, 2):
            reply = client.value("HELLO", protocol)
            pairs = reply if protocol == 2 else reply.items
            found = dict(zip(pairs[::2], pairs[1::2], strict=True))
            del found[b"modules"]  # ours has none
            assert found == {
                b"server": b"redis",
                b"version": b"8.2.3",
                b"proto": protocol,
                b"id": client.value("CLIENT", "ID"),
                b"mode": b"standalone",
                b"role": b"master",
            }


# COMMAND


def test_all_of_command_docs_in_both_protocols(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        flat = client.value("COMMAND", "DOCS")
        count = client.value("COMMAND", "COUNT")
        assert len(flat) == 2 * count
        client.command("HELLO", 3)
        reply = client.command("COMMAND", "DOCS")
        assert reply.startswith(b"%%%d\r\n" % count)
        assert len(decode(reply).items) == 2 * count
