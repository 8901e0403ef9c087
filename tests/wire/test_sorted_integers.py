"""Sorted integers over the wire, in every threading model and both protocols.

Redis does not have them, so what is right stands here: after Kvrocks' source, its documentation
and its tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.reference import split_arguments
from tests.support.resp import Error, RawClient, Simple
from tests.support.servers import ServerProcess

CASES = """
# Kvrocks' own test
SIADD s 1                               | 1
SIADD s 2                               | 1
SIADD s 2                               | 0
SIADD s 3 4 5 123 245                   | 5
SICARD s                                | 7
SIREVRANGE s 0 3                        | [245 123 5]
SIREVRANGE s 0 3 cursor 5               | [4 3 2]
SIRANGE s 0 3 cursor 123                | [245]
SIRANGEBYVALUE s 1 (5                   | [1 2 3 4]
SIREVRANGEBYVALUE s 5 (1                | [5 4 3 2]
SIEXISTS s 1 88 2                       | [:1 :0 :1]
SIREM s 2                               | 1

# Nothing there
SICARD s                                | 0
SIEXISTS s 1 2                          | [:0 :0]
SIRANGE s 0 10                          | []
SIREVRANGE s 0 10 CURSOR 5              | []
SIRANGEBYVALUE s 0 +inf                 | []
SIREVRANGEBYVALUE s +inf 0 LIMIT 0 1    | []
SIREM s 1                               | 0
EXISTS s                                | 0

# What is given twice counts once
SIADD s 7 7 8                           | 2
SIREM s 7 7 7                           | 1
SICARD s                                | 1
SIREM s 9 8                             | 1
EXISTS s                                | 0

# Pages: an offset, a limit (0 is none), a cursor; 0 is never beyond one
SIADD s 0 10 20 30 40 50                | 6
SIRANGE s 0 2                           | [10 20]
SIRANGE s 2 2                           | [30 40]
SIRANGE s 4 2                           | [50]
SIRANGE s 5 2                           | []
SIRANGE s 0 0                           | [10 20 30 40 50]
SIRANGE s 1 0 CURSOR 20                 | [40 50]
SIRANGE s 0 2 CURSOR 0                  | [10 20]
SIRANGE s 0 2 CURSOR 25                 | [30 40]
SIRANGE s 0 2 CURSOR 50                 | []
SIRANGE s 0 2 CURSOR 18446744073709551615 | []
SIRANGE s 18446744073709551615 18446744073709551615 | []
SIREVRANGE s 0 2                        | [50 40]
SIREVRANGE s 1 0                        | [40 30 20 10]
SIREVRANGE s 0 0 CURSOR 0               | [50 40 30 20 10]
SIREVRANGE s 0 2 CURSOR 25              | [20 10]
SIREVRANGE s 0 2 CURSOR 10              | [0]
SIREVRANGE s 0 1 CURSOR 18446744073709551615 | [50]

# Values: bounds may be exclusive, or infinite
SIADD s 0 10 20 30 18446744073709551615 | 5
SIRANGEBYVALUE s -inf +inf              | [0 10 20 30 18446744073709551615]
SIREVRANGEBYVALUE s +inf -inf           | [18446744073709551615 30 20 10 0]
SIRANGEBYVALUE s (0 (30                 | [10 20]
SIRANGEBYVALUE s 18446744073709551615 +inf | [18446744073709551615]
SIRANGEBYVALUE s (18446744073709551615 +inf | []
SIRANGEBYVALUE s 0 (18446744073709551615 LIMIT 1 2 | [10 20]
SIRANGEBYVALUE s -inf (0                | []
SIRANGEBYVALUE s 30 10                  | []
SIRANGEBYVALUE s (10 (10                | []
SIRANGEBYVALUE s 10 +inf LIMIT 1 1      | [20]
SIRANGEBYVALUE s 10 +inf limit 0 0      | [10 20 30 18446744073709551615]
SIRANGEBYVALUE s 10 30 LIMIT -5 -1      | [10 20 30]
SIRANGEBYVALUE s 10 30 LIMIT 9 1        | []
SIREVRANGEBYVALUE s 30 (10 LIMIT 1 5    | [20]

# Errors, which come before anything is done
SIADD s 1 2 x                           | ERR value is not an integer or out of range
EXISTS s                                | 0
SIADD s -1                              | ERR value is not an integer or out of range
SIADD s 18446744073709551616            | ERR value is not an integer or out of range
SIADD s 1.0                             | ERR value is not an integer or out of range
SIADD s ""                              | ERR value is not an integer or out of range
SIADD s 1_0                             | ERR value is not an integer or out of range
SIADD s 007                             | 1
SIEXISTS s 7 x                          | ERR value is not an integer or out of range
SIREM s 7 x                             | ERR value is not an integer or out of range
SIEXISTS s 7                            | [:1]
SIRANGE s x 1                           | ERR value is not an integer or out of range
SIRANGE s 0 -1                          | ERR value is not an integer or out of range
SIRANGE s 0 1 CURSOR x                  | ERR value is not an integer or out of range
SIRANGE s 0 1 FROM 1                    | ERR syntax error
SIRANGE s 0 1 CURSOR                    | ERR syntax error
SIREVRANGE s 0 1 CURSOR 1 2             | ERR syntax error
SIRANGEBYVALUE s x 1                    | ERR the min isn't integer
SIRANGEBYVALUE s 1 (                    | ERR the max isn't integer
SIRANGEBYVALUE s inf 1                  | ERR the min isn't integer
SIREVRANGEBYVALUE s x y                 | ERR the min isn't integer
SIRANGEBYVALUE s +inf 1                 | ERR min > max
SIREVRANGEBYVALUE s -inf 1              | ERR min > max
SIRANGEBYVALUE s 1 2 LIMIT 0            | ERR syntax error
SIRANGEBYVALUE s 1 2 COUNT 0 1          | ERR syntax error
SIRANGEBYVALUE s 1 2 LIMIT x 1          | ERR value is not an integer or out of range
SIADD s                                 | ERR wrong number of arguments for 'siadd' command
SIRANGE s 0                             | ERR wrong number of arguments for 'sirange' command

# Another type is in the way
RPUSH l 1                               | 1
SIADD l 1                               | WRONGTYPE
SIADD l x                               | ERR value is not an integer or out of range
SIREM l 1                               | WRONGTYPE
SICARD l                                | WRONGTYPE
SIEXISTS l 1                            | WRONGTYPE
SIRANGE l 0 1                           | WRONGTYPE
SIREVRANGEBYVALUE l 1 0                 | WRONGTYPE
SIADD s 1                               | 1
GET s                                   | WRONGTYPE
SADD s 1                                | WRONGTYPE
SMEMBERS s                              | WRONGTYPE
SUNION s l                              | WRONGTYPE
ZADD s 1 1                              | WRONGTYPE
HGET s 1                                | WRONGTYPE
LLEN s                                  | WRONGTYPE
XLEN s                                  | WRONGTYPE
SORT s                                  | WRONGTYPE
PFCOUNT s                               | WRONGTYPE
SETBIT s 1 1                            | WRONGTYPE
SICARD s                                | 1
SET s text                              | OK
SICARD s                                | WRONGTYPE

# A key like any other
SIADD s 1 2 3                           | 3
TYPE s                                  | sortedint
OBJECT ENCODING s                       | intset
SCAN 0 TYPE sortedint                   | [0 [s]]
SCAN 0 TYPE SORTEDINT                   | [0 [s]]
SCAN 0 TYPE set                         | [0 []]
RANDOMKEY                               | s
KEYS *                                  | [s]
EXPIRE s 100                            | 1
SIADD s 4                               | 1
TTL s                                   | 100
PERSIST s                               | 1
TTL s                                   | -1
COPY s copy                             | 1
SIREM copy 1 2                          | 2
SIRANGE copy 0 0                        | [3 4]
COPY s copy                             | 0
COPY s copy REPLACE                     | 1
SICARD copy                             | 4
SET text 1                              | OK
RENAME s text                           | OK
SIRANGE text 0 0                        | [1 2 3 4]
RENAMENX text copy                      | 0
MOVE text 1                             | 1
SICARD text                             | 0
SELECT 1                                | OK
SIRANGE text 0 0                        | [1 2 3 4]
PEXPIREAT text 1                        | 1
SICARD text                             | 0
SELECT 0                                | OK
UNLINK copy                             | 1
DBSIZE                                  | 0
SIADD s 1                               | 1
FLUSHDB                                 | OK
SICARD s                                | 0
"""

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"

Line = tuple[str, str]


def cases() -> Iterator[tuple[str, list[Line]]]:
    for text in CASES.strip().split("\n\n"):
        title, *lines = text.split("\n")
        yield (
            title.removeprefix("# "),
            [
                (command.strip(), reply.strip())
                for command, _, reply in (line.rpartition("|") for line in lines)
            ],
        )


def shown(value: object) -> str:
    """A reply as it stands in the cases."""
    if isinstance(value, list):
        elements = [f":{one}" if isinstance(one, int) else shown(one) for one in value]
        return f"[{' '.join(elements)}]"
    if isinstance(value, Error):
        return value.message
    if isinstance(value, Simple):
        return value.text
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.fixture(params=[2, 3])
def client(request: pytest.FixtureRequest, tendis: ServerProcess) -> Iterator[RawClient]:
    with tendis.client(protocol=request.param) as client:
        client.command("FLUSHALL")
        yield client
        client.command("CONFIG", "SET", "set-max-intset-entries", "512")


@pytest.mark.parametrize("most", [512, 1])
@pytest.mark.parametrize("lines", [pytest.param(lines, id=title) for title, lines in cases()])
def test_replies_are_those_of_kvrocks(client: RawClient, lines: list[Line], most: int) -> None:
    """Small, and large from the second integer on."""
    client.command("CONFIG", "SET", "set-max-intset-entries", str(most))
    for command, expected in lines:
        if expected == "WRONGTYPE":
            expected = WRONG_TYPE
        elif command.startswith("OBJECT ENCODING") and most == 1:
            expected = "skiplist"
        assert shown(client.value(*split_arguments(command.encode()))) == expected, command


def test_very_many_at_once(client: RawClient) -> None:
    """100,000, which are added, read, copied and removed in slices."""
    numbers = [b"%d" % number for number in range(1, 300_001, 3)]
    assert client.value(b"SIADD", b"s", *reversed(numbers)) == 100_000
    assert client.value(b"SIADD", b"s", *numbers, b"0") == 1
    assert client.value("OBJECT", "ENCODING", "s") == b"skiplist"
    assert client.value("SIRANGE", "s", "0", "0") == numbers
    assert client.value("SIREVRANGE", "s", "0", "0") == numbers[::-1]
    assert client.value("SIRANGE", "s", "50000", "3") == numbers[50_000:50_003]
    assert client.value("SIRANGEBYVALUE", "s", "(1", "100000") == numbers[1:33_334]
    assert client.value("COPY", "s", "copy") == 1
    assert client.value(b"SIREM", b"s", *numbers[:-1]) == 99_999
    assert client.value("SIREVRANGEBYVALUE", "s", "+inf", "-inf") == [numbers[-1], b"0"]
    assert client.value("SICARD", "copy") == 100_001
    assert client.value(b"SIEXISTS", b"copy", *numbers) == [1] * 100_000
    assert client.value("DEL", "copy", "s") == 2
    assert client.value("DBSIZE") == 0


def test_a_pipeline_is_run_at_once(client: RawClient) -> None:
    client.command("SIADD", "s", *map(str, range(600)))
    numbers = [5, 700, 701, 700, 6, 702]
    for number in numbers:
        client.request("SIADD", "s", str(number))
    client.request("SIADD", "s", "x")
    client.request("SIADD", "s", "703")
    replies = [client.reply() for _ in range(len(numbers) + 2)]
    assert replies[:6] == [b":0\r\n", b":1\r\n", b":1\r\n", b":0\r\n", b":0\r\n", b":1\r\n"]
    assert replies[6:] == [b"-ERR value is not an integer or out of range\r\n", b":1\r\n"]
    assert client.value("SICARD", "s") == 604


def test_sizes_are_told(client: RawClient) -> None:
    client.command("SIADD", "s", "1", "2", "3", "4", "5")
    assert b"db0_distrib_sortedints_items:4=1\r\n" in client.command("INFO", "keysizes")
    usage = client.value("MEMORY", "USAGE", "s")
    assert isinstance(usage, int)
    assert 50 < usage < 200


def test_the_declaration_says_whose_it_is(client: RawClient) -> None:
    assert client.value("COMMAND", "GETKEYS", "SIRANGE", "s", "0", "1") == [b"s"]
    listed = client.value("COMMAND", "LIST", "FILTERBY", "ACLCAT", "sortedint")
    assert isinstance(listed, list)
    assert {b"siadd", b"sirevrangebyvalue"} < set(listed)
