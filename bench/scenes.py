"""The scenes of `bench.isolation`: one client does something large, and nobody else should feel it.

A scene says what is there before, what the heavy client does, and what it leaves to be removed. It
knows neither which server it asks nor what is measured. Requests are made before the clock runs.
"""

import contextlib
import itertools
import random
import resource
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import sink, wire
from bench.collections import Client
from bench.wire import command

_CHUNK = 1_000
"""Requests of a setup, or elements of one of its requests, that go together."""
_SEND_SIZE = 1 << 18
_FILES = 4_096
_LEAST_LEAD_MS = 500
_POLL_SECONDS = 0.01
_UNREAD_SECONDS = 3.0
_QUIET_SECONDS = 1.0
_SCRIPT_SECONDS = 2.0
_HEAD_START = 0.02
"""Seconds that a slow command gets before another client comes."""


@dataclass(frozen=True, slots=True)
class Size:
    """`keys` are loaded; called with a scene's full size, it gives that of this run, 1 or more."""

    keys: int
    share: float = 1.0

    def __call__(self, full: int) -> int:
        return max(round(full * self.share), 1)


Requests = Iterable[bytes]
"""Whole requests, each of which is answered by one reply that is no error."""
Act = Callable[[int], float]
"""What the heavy client does at a port. Returns the seconds its user has waited."""


def _nothing(size: Size) -> Requests:
    return ()


@dataclass(frozen=True, slots=True)
class Scene:
    """`heavy` prepares what is measured. `setup` and `cleanup` come before and after each round;
    `fixtures` are made for the first scene that needs them, and stay."""

    name: str
    about: str
    heavy: Callable[[Size], Act]
    setup: Callable[[Size], Requests] = _nothing
    cleanup: Callable[[Size], Requests] = _nothing
    fixtures: tuple[str, ...] = ()


def send(port: int, requests: Requests) -> None:
    """Send setup or cleanup, pipelined. Raises ValueError for a reply that is an error."""
    remaining = iter(requests)
    with Client(port) as client:
        while part := list(itertools.islice(remaining, _CHUNK)):
            client.ask(b"".join(part), len(part))


# Keys and elements


def _numbered(prefix: bytes, count: int) -> list[bytes]:
    return [b"%b:%d" % (prefix, number) for number in range(count)]


def _parts(items: Sequence[bytes], of: int = _CHUNK) -> Iterator[Sequence[bytes]]:
    return (items[start : start + of] for start in range(0, len(items), of))


def _alternate(left: Iterable[bytes], right: Iterable[bytes]) -> Iterator[bytes]:
    return itertools.chain.from_iterable(zip(left, right, strict=True))


def _many(size: Size) -> list[bytes]:
    return _numbered(b"many", size(100_000))


def _sources(kind: bytes, size: Size) -> list[bytes]:
    return _numbered(b"source-" + kind, size(10_000))


def _loaded(size: Size, full: int, *, shared: bool = False) -> list[bytes]:
    """So many of the keys that are loaded, from all over them: such that the light client does not
    ask for, or such that it does."""
    half = size.keys // 2
    count = min(size(full), half)
    return [wire.key(2 * (number * half // count) + shared) for number in range(count)]


def _elements(size: Size) -> list[bytes]:
    return _numbered(b"element", size(1_000_000))


def _shuffled(size: Size) -> list[bytes]:
    numbers = [b"%d" % number for number in range(size(1_000_000))]
    random.Random(1).shuffle(numbers)
    return numbers


def _scored(size: Size) -> list[bytes]:
    return list(_alternate(_shuffled(size), _elements(size)))


FIXTURES: Mapping[str, Callable[[Size], Requests]] = {
    # Half of the members are in all sets, so that SINTER has to look at every set.
    "sets": lambda size: (
        command(b"SADD", name, *_numbered(b"common", 5), *_numbered(name, 5))
        for name in _sources(b"set", size)
    ),
    "zsets": lambda size: (
        command(b"ZADD", name, *_alternate([b"1"] * 10, _numbered(name, 10)))
        for name in _sources(b"zset", size)
    ),
    "hyperloglogs": lambda size: (
        command(b"PFADD", name, *_numbered(name, 5)) for name in _sources(b"hll", size)
    ),
    "set": lambda size: (command(b"SADD", b"set", *part) for part in _parts(_elements(size))),
    "zset": lambda size: (
        command(b"ZADD", b"zset", *part) for part in _parts(_scored(size), 2 * _CHUNK)
    ),
    "hash": lambda size: (
        command(b"HSET", b"hash", *part) for part in _parts(_scored(size), 2 * _CHUNK)
    ),
    "list": lambda size: (command(b"RPUSH", b"list", *part) for part in _parts(_shuffled(size))),
}


# Setups and cleanups


def _strings(size: Size) -> Requests:
    names = _many(size)
    return (command(b"SET", name, value) for name, value in zip(names, _values(names), strict=True))


def _values(names: Sequence[bytes]) -> list[bytes]:
    return [wire.value(index) for index in range(len(names))]


def _unlink(names: Callable[[Size], Sequence[bytes]]) -> Callable[[Size], Requests]:
    return lambda size: (command(b"UNLINK", *part) for part in _parts(names(size)))


def _gone(*names: bytes) -> Callable[[Size], Requests]:
    return lambda size: [command(b"UNLINK", *names)]


def _deleted_keys(size: Size) -> Requests:
    """Many keys in a database of their own, all deleted again but the last."""
    names = _many(size)
    yield command(b"SELECT", b"8")
    yield from _strings(size)
    for part in _parts(names[:-1]):
        yield command(b"DEL", *part)
    yield command(b"SET", names[-1], b"left")


def _deleted_elements(
    add: bytes, remove: bytes, fields: Callable[[bytes], Sequence[bytes]]
) -> Callable[[Size], Requests]:
    """Many elements of the key `emptied`, all removed again but the last, by part commands."""

    def requests(size: Size) -> Requests:
        names = _many(size)
        for part in _parts(names):
            yield command(add, b"emptied", *itertools.chain.from_iterable(map(fields, part)))
        for part in _parts(names[:-1]):
            yield command(remove, b"emptied", *part)
        yield command(add, b"emptied", *fields(names[-1]))

    return requests


def _flush(database: bytes) -> Callable[[Size], Requests]:
    return lambda size: [command(b"SELECT", database), command(b"FLUSHDB")]


# What the heavy client does


def _asks(*requests: Callable[[Size], bytes], error: str = "") -> Callable[[Size], Act]:
    """Send these in turn, each once the one before is answered. Raises ValueError for a reply that
    is an error, unless it begins with `error`."""

    def prepare(size: Size) -> Act:
        made = [request(size) for request in requests]

        def act(port: int) -> float:
            with Client(port) as client:
                began = time.perf_counter()
                for request in made:
                    _ask(client, request, error)
                return time.perf_counter() - began

        return act

    return prepare


def _ask(client: Client, request: bytes, error: str) -> None:
    try:
        client.ask(request)
    except ValueError as answer:
        if not error or not str(answer).startswith(error):
            raise


def _one(*arguments: bytes) -> Callable[[Size], Act]:
    return _asks(lambda size: command(*arguments))


def _listing(name: bytes, items: Callable[[Size], Iterable[bytes]]) -> Callable[[Size], Act]:
    """One command with all of these as its last arguments; `name` may have more words."""
    return _asks(lambda size: command(*name.split(), *items(size)))


def _in_database(number: bytes, *arguments: bytes) -> Callable[[Size], Act]:
    return _asks(lambda size: command(b"SELECT", number), lambda size: command(*arguments))


def _with_values(size: Size) -> Iterable[bytes]:
    names = _many(size)
    return _alternate(names, _values(names))


def _among_all(sources: Callable[[Size], list[bytes]]) -> Callable[[Size], Iterable[bytes]]:
    """The arguments `numkeys key …`."""
    return lambda size: (b"%d" % len(sources(size)), *sources(size))


def _quiet(size: Size) -> Act:
    def act(port: int) -> float:
        time.sleep(_QUIET_SECONDS)
        return 0.0

    return act


def _expiring(size: Size) -> Act:
    """Wait for the deadlines, then until no key is left. Returns the seconds since the last one."""

    def act(port: int) -> float:
        with Client(port) as client:
            last = int(client.call(b"GET", b"last-deadline")) / 1000
            client.call(b"SELECT", b"9")
            time.sleep(max(last - 1 - time.time(), 0))
            while client.call(b"DBSIZE"):
                time.sleep(_POLL_SECONDS)
            return time.time() - last

    return act


def _with_deadlines(size: Size) -> Requests:
    """Deadlines all over one second, which begins when the keys are there."""
    names = _many(size)
    first = time.time_ns() // 1_000_000 + _LEAST_LEAD_MS + size(6_000)
    yield command(b"SET", b"last-deadline", b"%d" % (first + 1000))
    yield command(b"SELECT", b"9")
    for number, name in enumerate(names, 1):
        yield command(b"SET", name, b"v", b"PXAT", b"%d" % (first + number * 1000 // len(names)))


def _unread(size: Size) -> Act:
    """100 clients send 10 MB of GETs each and read none of the replies, until all is sent or the
    time is up."""
    request = wire.get_command(0)
    pipeline = memoryview(request * (size(10_000_000) // len(request) + 1))

    def act(port: int) -> float:
        began = time.perf_counter()
        with contextlib.ExitStack() as stack, select.epoll() as poller:
            unsent = {}
            for _ in range(size(100)):
                client = stack.enter_context(_connection(port))
                poller.register(client, select.EPOLLOUT)
                unsent[client.fileno()] = (client, pipeline)
            while unsent and time.perf_counter() < began + _UNREAD_SECONDS:
                for descriptor, _ in poller.poll(_POLL_SECONDS):
                    client, rest = unsent[descriptor]
                    rest = rest[client.send(rest[:_SEND_SIZE]) :]
                    unsent[descriptor] = (client, rest)
                    if not rest:
                        poller.unregister(descriptor)
                        del unsent[descriptor]
        return time.perf_counter() - began

    return act


def _large_values(size: Size) -> Act:
    """1,000 clients set 1 MB each, all at once."""
    payload = b"x" * size(1_000_000)
    names = _numbered(b"writer", size(1_000))

    def act(port: int) -> float:
        began = time.perf_counter()
        with _many_files(), contextlib.ExitStack() as stack, select.epoll() as poller:
            clients = {}
            for name in names:
                client = stack.enter_context(_connection(port))
                poller.register(client, select.EPOLLOUT)
                request = command(b"SET", name, payload)
                clients[client.fileno()] = (client, memoryview(request))
            while clients:
                events = poller.poll(wire.TIMEOUT)
                if not events:
                    raise wire.WireError(f"{len(clients)} clients without a reply")
                for descriptor, _ in events:
                    client, rest = clients[descriptor]
                    if rest:
                        rest = rest[client.send(rest[:_SEND_SIZE]) :]
                        clients[descriptor] = (client, rest)
                        if not rest:
                            poller.modify(descriptor, select.EPOLLIN)
                    elif (reply := client.recv(len(wire.OK))) != wire.OK:
                        raise wire.WireError(f"{reply!r} instead of OK")
                    else:
                        poller.unregister(descriptor)
                        del clients[descriptor]
        return time.perf_counter() - began

    return act


def _connection(port: int) -> socket.socket:
    client = socket.create_connection((wire.HOST, port), timeout=wire.TIMEOUT)
    client.setblocking(False)
    return client


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """Let this process open thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _beside_a_slow_pipeline(*arguments: bytes) -> Callable[[Size], Act]:
    """One client pipelines a slow command and a write; another comes with a command that concerns
    whole databases."""

    def prepare(size: Size) -> Act:
        def act(port: int) -> float:
            with Client(port) as slow, Client(port) as other:
                began = time.perf_counter()
                slow.begin(command(b"KEYS", b"*") + command(b"SET", b"behind", b"1"))
                time.sleep(_HEAD_START)
                other.call(*arguments)
                slow.finish(2)
                return time.perf_counter() - began

        return act

    return prepare


def _restore(size: Size) -> Act:
    """What DUMP has answered."""

    def act(port: int) -> float:
        with Client(port) as client:
            began = time.perf_counter()
            payload = client.call(b"DUMP", b"hash")
            client.call(b"RESTORE", b"result", b"0", payload)
            return time.perf_counter() - began

    return act


def _migrate(size: Size) -> Act:
    patience = b"%d" % round(1000 * wire.TIMEOUT)

    def act(port: int) -> float:
        with sink.listening() as other, Client(port) as client:
            began = time.perf_counter()
            client.call(b"MIGRATE", wire.HOST.encode(), b"%d" % other, b"result", b"0", patience)
            return time.perf_counter() - began

    return act


def _patience(milliseconds: int) -> Callable[[Size], Requests]:
    """For how long others wait for a script before they are answered BUSY."""
    return lambda size: [command(b"CONFIG", b"SET", b"busy-reply-threshold", b"%d" % milliseconds)]


def _looping(body: str) -> Callable[[Size], Act]:
    """A script on a key of its own that does `body` for two seconds."""

    def script(size: Size) -> bytes:
        return b"local began = os.clock() while os.clock() - began < %f do %b end" % (
            _SCRIPT_SECONDS * size.share,
            body.encode(),
        )

    return _asks(lambda size: command(b"EVAL", script(size), b"1", b"of-a-script"))


def _all_again(size: Size) -> Requests:
    """Load again what FLUSHALL has taken."""
    return map(wire.set_command, range(size.keys))


def _hostile(size: Size) -> bytes:
    """A HyperLogLog of far too many registers."""
    return b"HYLL\x01" + bytes(11) + b"\x3f" * size(4_000_000) + b"\xff"


def _text(size: Size) -> bytes:
    return b"t" * size(70_000_000)


def _value(size: Size) -> bytes:
    return b"v" * size(200_000_000)


def _scored_field(name: bytes) -> tuple[bytes, bytes]:
    return (b"1", name)


def _valued_field(name: bytes) -> tuple[bytes, bytes]:
    return (name, b"v")


SCENES = (
    Scene("quiet", "nothing", _quiet),
    # Many keys in one command
    Scene("mset", "MSET of 100,000 keys", _listing(b"MSET", _with_values), cleanup=_unlink(_many)),
    Scene(
        "msetnx",
        "MSETNX of 100,000 keys",
        _listing(b"MSETNX", _with_values),
        cleanup=_unlink(_many),
    ),
    *(
        Scene(
            name.lower(),
            f"{name} of 100,000 keys",
            _listing(name.encode(), lambda size: _loaded(size, 100_000)),
        )
        for name in ("MGET", "EXISTS", "TOUCH")
    ),
    Scene(
        "mget-shared",
        "MGET of 100,000 keys that others want, too",
        _listing(b"MGET", lambda size: _loaded(size, 100_000, shared=True)),
    ),
    *(
        Scene(name.lower(), f"{name} of 100,000 keys", _listing(name.encode(), _many), _strings)
        for name in ("DEL", "UNLINK")
    ),
    # Many sources
    *(
        Scene(
            name.lower(),
            f"{name} of 10,000 sets",
            _listing(name.encode(), lambda size: _sources(b"set", size)),
            fixtures=("sets",),
        )
        for name in ("SUNION", "SINTER")
    ),
    Scene(
        "zunion",
        "ZUNION of 10,000 sorted sets",
        _listing(b"ZUNION", _among_all(lambda size: _sources(b"zset", size))),
        fixtures=("zsets",),
    ),
    Scene(
        "bitop",
        "BITOP OR of 10,000 strings",
        _listing(b"BITOP OR result", lambda size: _loaded(size, 10_000)),
        cleanup=_gone(b"result"),
    ),
    Scene(
        "pfcount",
        "PFCOUNT of 10,000 HyperLogLogs",
        _listing(b"PFCOUNT", lambda size: _sources(b"hll", size)),
        fixtures=("hyperloglogs",),
    ),
    # A million elements in one command
    *(
        Scene(
            command.lower(),
            f"{command} of 1,000,000 {what}",
            _listing(b"%b result" % command.encode(), items),
            cleanup=_gone(b"result"),
        )
        for command, what, items in (
            ("HSET", "fields", _scored),
            ("SADD", "members", _elements),
            ("ZADD", "members", _scored),
            ("RPUSH", "elements", _elements),
        )
    ),
    # A million elements from one key to another
    *(
        Scene(
            words.split()[0].lower(),
            f"{words.split()[0]} of 1,000,000 members",
            _one(*words.encode().split()),
            cleanup=_gone(b"result"),
            fixtures=(fixture,),
        )
        for words, fixture in (
            ("ZUNIONSTORE result 1 zset", "zset"),
            ("SUNIONSTORE result set", "set"),
            ("ZRANGESTORE result zset 0 -1", "zset"),
            ("COPY zset result", "zset"),
        )
    ),
    Scene(
        "dump-restore",
        "DUMP of 1,000,000 fields, and RESTORE of that",
        _restore,
        cleanup=_gone(b"result"),
        fixtures=("hash",),
    ),
    Scene(
        "migrate",
        "MIGRATE of 1,000,000 fields",
        _migrate,
        lambda size: [command(b"COPY", b"hash", b"result")],
        fixtures=("hash",),
    ),
    Scene("sort", "SORT of 1,000,000 elements", _one(b"SORT", b"list"), fixtures=("list",)),
    # Large strings
    Scene(
        "append-70mb",
        "APPEND to 70 MB",
        _one(b"APPEND", b"text", b"end"),
        lambda size: [command(b"SET", b"text", _text(size))],
        _gone(b"text"),
    ),
    Scene(
        "setrange-70mb",
        "SETRANGE in 70 MB",
        _one(b"SETRANGE", b"text", b"1000", b"changed"),
        lambda size: [command(b"SET", b"text", _text(size))],
        _gone(b"text"),
    ),
    Scene(
        "set-200mb",
        "SET of 200 MB",
        _asks(lambda size: command(b"SET", b"text", _value(size))),
        cleanup=_gone(b"text"),
    ),
    Scene(
        "get-200mb",
        "GET of 200 MB",
        _one(b"GET", b"text"),
        lambda size: [command(b"SET", b"text", _value(size))],
        _gone(b"text"),
    ),
    Scene(
        "get-500mb",
        "GET of 500 MB, of which SETRANGE has set the end",
        _one(b"GET", b"text"),
        lambda size: [command(b"SETRANGE", b"text", b"%d" % size(499_999_999), b"x")],
        _gone(b"text"),
    ),
    # Many clients
    Scene("unread", "100 clients send 10 MB of GETs and read nothing", _unread),
    Scene(
        "writers",
        "1,000 clients SET 1 MB each",
        _large_values,
        cleanup=_unlink(lambda size: _numbered(b"writer", size(1_000))),
    ),
    # What has just been deleted
    *(
        Scene(
            f"{words.split()[0].lower()}-deleted",
            f"{words} beside 100,000 keys just deleted",
            _in_database(b"8", *words.encode().split()),
            _deleted_keys,
            _flush(b"8"),
        )
        for words in ("KEYS *", "SCAN 0", "RANDOMKEY")
    ),
    *(
        Scene(
            f"{words.split()[0].lower()}-deleted",
            f"{words.split()[0]} beside 100,000 elements just removed",
            _one(*words.encode().split()),
            setup,
            _gone(b"emptied"),
        )
        for words, setup in (
            ("ZRANGE emptied 0 0", _deleted_elements(b"ZADD", b"ZREM", _scored_field)),
            ("HSCAN emptied 0", _deleted_elements(b"HSET", b"HDEL", _valued_field)),
            ("SMEMBERS emptied", _deleted_elements(b"SADD", b"SREM", lambda name: (name,))),
        )
    ),
    Scene(
        "expire",
        "100,000 keys expire in one second",
        _expiring,
        _with_deadlines,
        _gone(b"last-deadline"),
    ),
    # What is meant to hurt
    Scene(
        "pfcount-hostile",
        "PFCOUNT of 4 MB that are no HyperLogLog",
        _asks(lambda size: command(b"PFCOUNT", b"hostile", b"hostile"), error="INVALIDOBJ"),
        lambda size: [command(b"SET", b"hostile", _hostile(size))],
        _gone(b"hostile"),
    ),
    Scene(
        "pattern",
        "SCAN MATCH with a pattern of 100 KB",
        _asks(
            lambda size: command(b"SCAN", b"0", b"MATCH", b"a*" + b"b?" * size(50_000)),
        ),
    ),
    *(
        Scene(name, about, _looping(body), _patience(600_000), _patience(5_000))
        for name, about, body in (
            ("script", "a script that loops for two seconds", ""),
            (
                "script-pcall",
                "a script that loops within pcall for two seconds",
                "pcall(function() for i = 1, 1000 do end end)",
            ),
        )
    ),
    # Whole databases, while a pipeline waits behind its own slow command
    Scene(
        "swapdb",
        "SWAPDB beside a pipeline of KEYS * and SET",
        _beside_a_slow_pipeline(b"SWAPDB", b"8", b"9"),
        cleanup=_gone(b"behind"),
    ),
    # The last one: it takes the fixtures along.
    Scene(
        "flushall",
        "FLUSHALL beside a pipeline of KEYS * and SET",
        _beside_a_slow_pipeline(b"FLUSHALL"),
        _all_again,
    ),
)
