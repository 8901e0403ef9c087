"""CONFIG GET and CONFIG SET on a live configuration: all or nothing, and who is told."""

import pytest

from tendis_py.config import Config, ConfigSetError, reference_markdown
from tendis_py.config.buffer_limits import BufferLimit
from tendis_py.config.settings import DIRECTIVES


def refusal(config: Config, *pairs: tuple[bytes, bytes]) -> str:
    with pytest.raises(ConfigSetError) as error:
        config.set(list(pairs))
    return error.value.message


def failed(name: str, reason: str) -> str:
    return f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"


def test_what_clients_ask_for_first() -> None:
    config = Config()
    assert config.get([b"save", b"appendonly", b"maxmemory", b"maxmemory-policy"]) == {
        b"save": b"",
        b"appendonly": b"yes",
        b"maxmemory": b"0",
        b"maxmemory-policy": b"noeviction",
    }


def test_get_by_glob_alias_and_spelling() -> None:
    config = Config()
    assert config.get([b"hash-max-*-ENTRIES"]) == {
        b"hash-max-listpack-entries": b"512",
        b"hash-max-ziplist-entries": b"512",
    }
    assert config.get([b"HASH-Max-Ziplist-Value", b"hash-max-ziplist-*"]) == {
        b"HASH-Max-Ziplist-Value": b"64",
        b"hash-max-ziplist-entries": b"512",
    }
    assert config.get([b"nonsense", b"no*sense"]) == {}


def test_get_all_shows_every_directive_and_alias_once() -> None:
    shown = [name.decode() for name in Config().get([b"*"])]
    assert len(set(shown)) == len(shown)
    expected = {name for it in DIRECTIVES if not it.is_family for name in (it.name, *it.aliases)}
    assert set(shown) == expected


def test_set_is_typed_and_case_is_ignored() -> None:
    config = Config()
    percentiles = b"latency-tracking-info-percentiles"
    config.set([(b"MaxClients", b"7"), (percentiles, b"50 99.5"), (b"requirepass", b"\xff")])
    assert config.maxclients == 7
    assert config.latency_tracking_info_percentiles == [50.0, 99.5]
    assert config.requirepass.encode("utf-8", "surrogateescape") == b"\xff"
    assert config.get([b"requirepass"]) == {b"requirepass": b"\xff"}


def test_an_alias_and_its_directive_are_one_setting() -> None:
    config = Config()
    config.set([(b"hash-max-ziplist-entries", b"5"), (b"hash-max-listpack-entries", b"6")])
    assert config.hash_max_listpack_entries == 6


def test_buffer_limits_accumulate() -> None:
    config = Config()
    config.set([(b"client-output-buffer-limit", b"normal 1 2 3")])
    config.set([(b"client-output-buffer-limit", b"pubsub 4 5 6")])
    limits = config.client_output_buffer_limit
    assert (limits.normal, limits.pubsub) == (BufferLimit(1, 2, 3), BufferLimit(4, 5, 6))


def test_nothing_is_set_when_one_is_refused() -> None:
    config = Config()
    before = config.get([b"*"])
    reason = "argument must be between 0 and 2147483647 inclusive"
    message = refusal(config, (b"maxclients", b"7"), (b"timeout", b"-1"), (b"hz", b"x"))
    assert message == failed("timeout", reason)
    assert config.get([b"*"]) == before


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [(b"maxclients", b"0"), (b"foo", b"1")],
            "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
        ),
        ([(b"databases", b"4")], failed("databases", "can't set immutable config")),
        ([(b"hz", b"4"), (b"HZ", b"5")], failed("HZ", "duplicate parameter")),
        (
            [(b"tls-port", b"6380")],
            failed("tls-port", "tendis-py does not speak TLS: tls-port can only be 0"),
        ),
        ([(b"dir", b"/tmp")], failed("dir", "can't set protected config")),
        ([(b"replicaof", b"no one")], failed("replicaof", "can't set immutable config")),
        (
            [(b"rocksdb", b"1")],
            "ERR Unknown option or number of arguments for CONFIG SET - 'rocksdb'",
        ),
        (
            [(b"hz.x", b"1")],
            "ERR Unknown option or number of arguments for CONFIG SET - 'hz.x'",
        ),
    ],
)
def test_refusals(pairs: list[tuple[bytes, bytes]], message: str) -> None:
    assert refusal(Config(), *pairs) == message


def test_constants_accept_their_value() -> None:
    Config().set([(b"tls-port", b"0")])


@pytest.mark.parametrize(
    "line",
    ["replicaof 10.0.0.1 6379", "cluster-enabled yes", "tls-port 6380"],
)
def test_what_would_be_missed_badly_stops_the_start(line: str) -> None:
    with pytest.raises(ValueError, match=f"^tendis-py .*: {line.split()[0]} can only be "):
        Config().assign(line.split())


def test_protected_settings_for_those_who_may() -> None:
    config = Config()
    config.set([(b"dbfilename", b"x.rdb")], may_set_protected=True)
    assert config.get([b"dbfilename"]) == {b"dbfilename": b"x.rdb"}
    with pytest.raises(ConfigSetError, match="can't set immutable config"):
        config.set([(b"dir", b"/tmp")], may_set_protected=True)


def test_what_has_no_effect_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    config = Config()
    for words in (["slave-priority", "5"], ["lfu-decay-time", "1"], ["hz", "20"]):
        config.assign(words)
    assert caplog.messages == []
    config.report_without_effect()
    config.set([(b"maxmemory", b"1gb"), (b"replica-priority", b"6"), (b"hz", b"30")])
    config.set([(b"maxmemory", b"2gb")])
    config.report_without_effect()
    assert caplog.messages == [
        "accepted, but without effect in tendis-py: replica-priority",
        "accepted, but without effect in tendis-py: maxmemory",
    ]
    assert config.get([b"maxmemory", b"slave-priority"]) == {
        b"maxmemory": b"2147483648",
        b"slave-priority": b"6",
    }


def test_a_refused_setting_is_not_said_to_be_accepted(caplog: pytest.LogCaptureFixture) -> None:
    config = Config()
    config.on_change("hz", Listener(config, "hz", refuses=20))
    refusal(config, (b"maxmemory", b"1gb"), (b"hz", b"20"))
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["io-threads-do-reads", "list-max-ziplist-entries"])
def test_files_of_older_versions_are_read(name: str) -> None:
    Config().assign([name, "yes"])
    with pytest.raises(ValueError, match="Bad directive"):
        Config().assign([name])


def test_save_lines_add_up_and_config_set_replaces() -> None:
    config = Config()
    config.assign(["save", "900", "1"])
    config.assign(["save", "300", "10", "60", "10000"])
    assert config.get([b"save"]) == {b"save": b"900 1 300 10 60 10000"}
    config.set([(b"save", b"5 6")])
    assert config.get([b"save"]) == {b"save": b"5 6"}
    config.assign(["save", ""])
    assert config.get([b"save"]) == {b"save": b""}


def test_rocksdb_options_by_name() -> None:
    config = Config()
    config.set([(b"rocksdb.a", b"1"), (b"ROCKSDB.B", b"2mb")])
    assert config.rocksdb == {"a": "1", "b": "2mb"}
    assert config.get([b"rocksdb.*"]) == {b"rocksdb.a": b"1", b"rocksdb.b": b"2mb"}
    config.set([(b"rocksdb.a", b"")])
    assert config.get([b"rocksdb.*"]) == {b"rocksdb.b": b"2mb"}


class Listener:
    """Records the value it finds when called; refuses the values it is told to refuse."""

    def __init__(self, config: Config, attribute: str, refuses: int = -1) -> None:
        self.config = config
        self.attribute = attribute
        self.refuses = refuses
        self.seen: list[int] = []

    def __call__(self) -> None:
        value = getattr(self.config, self.attribute)
        if value == self.refuses:
            raise ValueError("not this one")
        self.seen.append(value)


def test_listeners_hear_of_changes_only() -> None:
    config = Config()
    hz, maxclients = Listener(config, "hz"), Listener(config, "maxclients")
    config.on_change("hz", hz)
    config.on_change("maxclients", maxclients)
    config.set([(b"hz", b"20"), (b"maxclients", b"10000")])
    assert (hz.seen, maxclients.seen) == ([20], [])


def test_a_refusing_listener_rolls_everything_back() -> None:
    config = Config()
    hz, maxclients, timeout = (
        Listener(config, "hz"),
        Listener(config, "maxclients", refuses=1),
        Listener(config, "timeout"),
    )
    config.on_change("hz", hz)
    config.on_change("maxclients", maxclients)
    config.on_change("timeout", timeout)
    before = config.get([b"*"])
    message = refusal(config, (b"hz", b"20"), (b"maxclients", b"1"), (b"timeout", b"5"))
    assert message == failed("maxclients", "not this one")
    assert config.get([b"*"]) == before
    assert (hz.seen, maxclients.seen, timeout.seen) == ([20, 10], [], [])


def test_a_listener_that_cannot_go_back_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    config = Config()
    config.on_change("hz", Listener(config, "hz", refuses=10))
    config.on_change("maxclients", Listener(config, "maxclients", refuses=1))
    assert refusal(config, (b"hz", b"20"), (b"maxclients", b"1")) == failed(
        "maxclients", "not this one"
    )
    assert "not this one" in caplog.text
    assert config.hz == 10


def test_a_family_is_listened_to_as_a_whole() -> None:
    config = Config()

    def refuse() -> None:
        raise ValueError(f"no option {list(config.rocksdb)}")

    config.on_change("rocksdb", refuse)
    assert refusal(config, (b"rocksdb.x", b"1")) == failed("rocksdb.x", "no option ['x']")
    assert config.rocksdb == {}


def test_listening_to_an_unknown_directive_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Config().on_change("no-such-thing", lambda: None)


def test_the_password_is_not_in_the_repr() -> None:
    config = Config()
    config.requirepass = "secret"
    assert "secret" not in repr(config)


def test_the_reference_names_every_directive() -> None:
    rows = [row for row in reference_markdown().splitlines() if row.startswith("| `")]
    assert len(rows) == len(DIRECTIVES)
    assert len({row.count(" | ") for row in rows}) == 1
    working, idle = reference_markdown().split("## Accepted without effect")
    for it in DIRECTIVES:
        assert f"| `{it.name}" in (working if it.effect else idle)
    assert "| `port` | `6379` | integer from 0 to 65535 | yes |" in reference_markdown()
    assert "| `databases` | `16` | integer from 1 | no |" in reference_markdown()
    assert '| `dbfilename` | `"dump.rdb"` | name of a file | protected |' in reference_markdown()
