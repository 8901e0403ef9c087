"""A stand-in for redis-cli: asks a server what redis-cli asks, and shows the answers as it does.

``python -m tests.support.cli -p PORT [OPTION …] [COMMAND …]``, for machines that have no redis-cli.
Has only what tests/wire/test_redis_cli.py uses, which also compares it with redis-cli itself.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.documentation import as_pairs, spell
from tests.support.resp import Error, RawClient, Simple, encode_request

Options = dict[str, str]

_SIZES = {"string": ("STRLEN", "bytes"), "list": ("LLEN", "items"), "hash": ("HLEN", "fields")}
"""Type → the command that tells its size, and in what."""


def main(words: list[str]) -> None:
    options = {"-i": "1", "--pattern": "*"}
    mode = None
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-p", "-i", "--pattern"):
            options[word] = words.pop(0)
        elif word == "-3":
            options[word] = ""
        else:
            mode = _MODES[word]
    with RawClient(("127.0.0.1", int(options["-p"]))) as client:
        if "-3" in options:
            client.command("HELLO", 3)
        if mode is not None:
            mode(client, options)
        elif words:
            print(*_shown(client.value(*words)), sep="\n")
        else:
            _interactive(client)


def _shown(value: Any) -> Iterator[str]:
    """Lines of one reply, without quotes: output that is not to a terminal."""
    if isinstance(value, list):
        for item in value:
            yield from _shown(item)
    elif isinstance(value, Error):
        yield f"{value.message}\n"
    elif isinstance(value, Simple):
        yield value.text
    else:
        yield value.decode() if isinstance(value, bytes) else str(value)


def _keys(client: RawClient, *options: str) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        cursor, keys = client.value("SCAN", cursor, *options)
        yield keys
        if cursor == b"0":
            return


def _scan(client: RawClient, options: Options) -> None:
    for keys in _keys(client, "MATCH", options["--pattern"]):
        for key in keys:
            print(key.decode())


def _bigkeys(client: RawClient, options: Options) -> None:
    _report_biggest(client, lambda kind, key: (_SIZES[kind][0], key), lambda kind: _SIZES[kind][1])


def _memkeys(client: RawClient, options: Options) -> None:
    _report_biggest(client, lambda kind, key: ("MEMORY", "USAGE", key), lambda kind: "bytes")


def _report_biggest(
    client: RawClient,
    question: Callable[[str, bytes], tuple[str | bytes, ...]],
    unit: Callable[[str], str],
) -> None:
    client.value("DBSIZE")
    sampled = 0
    biggest: dict[str, tuple[int, bytes]] = {}
    for keys in _keys(client):
        kinds = [client.value("TYPE", key).text for key in keys]
        for kind, key in zip(kinds, keys, strict=True):
            size = client.value(*question(kind, key))
            biggest[kind] = max(biggest.get(kind, (0, b"")), (size, key))
            sampled += 1
    print(f"Sampled {sampled} keys in the keyspace!")
    for kind, (size, key) in biggest.items():
        print(f"Biggest {kind:>6} found '\"{key.decode()}\"' has {size} {unit(kind)}")


def _hotkeys(client: RawClient, options: Options) -> None:
    client.value("DBSIZE")
    found = []
    for keys in _keys(client):
        found += [(client.value("OBJECT", "FREQ", key), key) for key in keys]
    print(f"Sampled {len(found)} keys in the keyspace!")
    for uses, key in sorted(found, reverse=True):
        print(f'hot key found with counter: {uses}\tkeyname: "{key.decode()}"')


def _pipe(client: RawClient, options: Options) -> None:
    """Requests as they come on standard input, then an ECHO that tells which reply is the last."""
    client.send(sys.stdin.buffer.read())
    last = os.urandom(20)
    client.send(encode_request([b"ECHO", last]))
    errors = replies = 0
    while not (reply := client.reply()).endswith(last + b"\r\n"):
        errors += reply.startswith(b"-")
        replies += 1
    print(f"errors: {errors}, replies: {replies}")


def _stat(client: RawClient, options: Options) -> None:
    while True:
        lines = client.value("INFO").decode().splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        keys = sum(int(facts[name].split("=")[1].split(",")[0]) for name in facts if _is_db(name))
        print(keys, facts["used_memory_human"], facts["connected_clients"], flush=True)
        time.sleep(float(options["-i"]))


def _is_db(name: str) -> bool:
    return name.startswith("db") and name[2:].isdigit()


def _latency(client: RawClient, options: Options) -> None:
    took: list[int] = []
    while True:
        began = time.monotonic_ns()
        client.command("PING")
        took.append((time.monotonic_ns() - began) // 1_000_000)
        average = sum(took) / len(took)
        print(f"min: {min(took)}, max: {max(took)}, avg: {average:.2f} ({len(took)} samples)")
        time.sleep(0.01)


def _interactive(client: RawClient) -> None:
    """``help NAME`` and ``quit``."""
    client.command("HELLO", 3)
    manual = {
        name.decode().upper(): page for name, page in as_pairs(client.value("COMMAND", "DOCS"))
    }
    for line in sys.stdin:
        word, _, name = line.strip().partition(" ")
        if word == "quit":
            return
        assert word == "help", line
        page = {key.decode(): value for key, value in as_pairs(manual[name.upper()])}
        print(f"\n  {name.upper()} {spell(page['arguments'])}")
        print(f"  summary: {page['summary'].decode()}\n  since: {page['since'].decode()}")


_MODES: dict[str, Callable[[RawClient, Options], None]] = {
    "--scan": _scan,
    "--bigkeys": _bigkeys,
    "--memkeys": _memkeys,
    "--hotkeys": _hotkeys,
    "--pipe": _pipe,
    "--stat": _stat,
    "--latency": _latency,
}


if __name__ == "__main__":
    main(sys.argv[1:])
