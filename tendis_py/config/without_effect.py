"""Redis' directives that change nothing here: accepted as Redis accepts them, and said to be so.

Role: the part of the table of directives that has no effect, by the reason why.
May import: the kinds of value.
Does not know: where values come from.

A few ask for what a client or an operator would miss badly (TLS, replication, a cluster):
those are refused unless they ask for nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tendis_py.config.directive import Directive
from tendis_py.config.kinds import (
    INT_MAX,
    LONG_MAX,
    UINT_MAX,
    Enumeration,
    Integer,
    Kind,
    MemorySize,
    Only,
    Text,
    YesNo,
)
from tendis_py.config.special_kinds import (
    FileName,
    Flags,
    HostName,
    Locale,
    Master,
    MemoryOrPercent,
    NodeName,
    OomScores,
    ProcessTitle,
    Snapshots,
)

KB, MB = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class _Entry:
    names: str
    """The directive, then its aliases."""
    kind: Kind[Any]
    default: Any
    runtime: bool = True
    protected: bool = False


def _yes(names: str, *, runtime: bool = True) -> _Entry:
    return _Entry(names, YesNo(), True, runtime)


def _no(names: str, *, runtime: bool = True) -> _Entry:
    return _Entry(names, YesNo(), False, runtime)


def _number(names: str, default: int, least: int = 0, most: int = INT_MAX) -> _Entry:
    return _Entry(names, Integer(least, most), default)


def _unsigned(
    names: str, default: int, least: int = 0, most: int = LONG_MAX, *, runtime: bool = True
) -> _Entry:
    return _Entry(names, Integer(least, most, unsigned=True), default, runtime)


def _size(names: str, default: int, least: int = 0, *, signed: bool = False) -> _Entry:
    return _Entry(names, MemorySize(least, signed=signed), default)


def _text(names: str, default: str = "", *, runtime: bool = True) -> _Entry:
    return _Entry(names, Text(), default, runtime)


def _one_of(names: str, choices: str, default: str, *, runtime: bool = True) -> _Entry:
    return _Entry(names, Enumeration(tuple(choices.split())), default, runtime)


def _only(entry: _Entry, reason: str) -> _Entry:
    """Refuse every value but the default."""
    return replace(entry, kind=Only(entry.kind, entry.default, reason))


_POLICIES = (
    "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu "
    "allkeys-random noeviction"
)
_SHUTDOWN = Flags(
    ("default", "save", "nosave", "now", "force"),
    ("save", "nosave"),
    "shutdown options SAVE and NOSAVE can't be used simultaneously",
)

_ENTRIES: Mapping[str, Sequence[_Entry]] = {
    "keys live on disk and are not evicted": (
        _size("maxmemory", 0),
        _one_of("maxmemory-policy", _POLICIES, "noeviction"),
        _number("maxmemory-samples", 5, 1, 64),
        _number("maxmemory-eviction-tenacity", 10, 0, 100),
        _Entry("maxmemory-clients", MemoryOrPercent(), 0),
        _number("lfu-log-factor", 10),
        _number("lfu-decay-time", 1),
    ),
    "every write is in RocksDB's log, always": (
        _yes("appendonly"),
        _Entry("appendfilename", FileName("appendfilename"), "appendonly.aof", runtime=False),
        _Entry(
            "appenddirname", FileName("appenddirname", "dirname"), "appendonlydir", runtime=False
        ),
        _yes("aof-load-truncated"),
        _yes("aof-use-rdb-preamble"),
        _no("aof-timestamp-enabled"),
        _yes("aof-rewrite-incremental-fsync"),
        _no("no-appendfsync-on-rewrite"),
        _number("auto-aof-rewrite-percentage", 100),
        _size("auto-aof-rewrite-min-size", 64 * MB, signed=True),
    ),
    "no snapshot is needed, and none is made": (
        _Entry("save", Snapshots(), ()),
        _Entry(
            "dbfilename",
            FileName("dbfilename", may_be_empty=True),
            "dump.rdb",
            protected=True,
        ),
        _yes("rdbchecksum", runtime=False),
        _yes("rdb-save-incremental-fsync"),
        _yes("stop-writes-on-bgsave-error"),
    ),
    "DUMP compresses nothing": (_yes("rdbcompression"),),
    "RESTORE always looks at all of a payload": (
        _one_of("sanitize-dump-payload", "no yes clients", "no"),
    ),
    "what is deleted is always reclaimed in the background": (
        _no("lazyfree-lazy-eviction"),
        _no("lazyfree-lazy-expire"),
        _no("lazyfree-lazy-server-del"),
        _no("lazyfree-lazy-user-del"),
        _no("lazyfree-lazy-user-flush"),
    ),
    "memory is Python's and RocksDB's to manage": (
        _no("activedefrag"),
        _size("active-defrag-ignore-bytes", 100 * MB, 1),
        _number("active-defrag-threshold-lower", 10, 0, 1000),
        _number("active-defrag-threshold-upper", 100, 0, 1000),
        _number("active-defrag-cycle-min", 1, 1, 99),
        _number("active-defrag-cycle-max", 25, 1, 99),
        _number("active-defrag-max-scan-fields", 1000, 1, LONG_MAX),
        _yes("activerehashing"),
        _yes("jemalloc-bg-thread"),
        _yes("disable-thp", runtime=False),
        _number("list-compress-depth", 0),
    ),
    "expiry follows an index and needs no effort": (
        _number("active-expire-effort", 1, 1, 10),
        _yes("dynamic-hz"),
    ),
    "there is no replication": (
        _only(
            _Entry("replicaof slaveof", Master(), "", runtime=False),
            "tendis-py does not replicate: replicaof can only be no one",
        ),
        _text("masterauth"),
        _text("masteruser"),
        _yes("replica-serve-stale-data slave-serve-stale-data"),
        _yes("replica-read-only slave-read-only"),
        _yes("replica-ignore-maxmemory slave-ignore-maxmemory"),
        _no("replica-lazy-flush slave-lazy-flush"),
        _yes("replica-announced"),
        _no("replica-ignore-disk-write-errors"),
        _text("replica-announce-ip slave-announce-ip"),
        _number("replica-announce-port slave-announce-port", 0, 0, 65535),
        _number("replica-priority slave-priority", 100),
        _size("replica-full-sync-buffer-limit", 0, signed=True),
        _number("min-replicas-to-write min-slaves-to-write", 0),
        _number("min-replicas-max-lag min-slaves-max-lag", 10),
        _number("repl-timeout", 60, 1),
        _number("repl-ping-replica-period repl-ping-slave-period", 10, 1),
        _number("repl-backlog-ttl", 3600, 0, LONG_MAX),
        _Entry("repl-backlog-size", MemorySize(1, floor=16 * KB, signed=True), MB),
        _no("repl-disable-tcp-nodelay"),
        _yes("repl-diskless-sync"),
        _number("repl-diskless-sync-delay", 5),
        _number("repl-diskless-sync-max-replicas", 0),
        _one_of("repl-diskless-load", "disabled on-empty-db swapdb", "disabled"),
        _no("rdb-del-sync-files"),
        _one_of("propagation-error-behavior", "ignore panic panic-on-replicas", "ignore"),
        _text("bind-source-addr"),
    ),
    "there is no cluster": (
        _only(
            _no("cluster-enabled", runtime=False),
            "tendis-py has no cluster mode: cluster-enabled can only be no",
        ),
        _text("cluster-config-file", "nodes.conf", runtime=False),
        _Entry("cluster-port", Integer(0, 65535), 0, runtime=False),
        _number("cluster-node-timeout", 15000, 0, LONG_MAX),
        _number("cluster-migration-barrier", 1),
        _number("cluster-replica-validity-factor cluster-slave-validity-factor", 10),
        _no("cluster-replica-no-failover cluster-slave-no-failover"),
        _yes("cluster-require-full-coverage"),
        _no("cluster-allow-reads-when-down"),
        _yes("cluster-allow-pubsubshard-when-down"),
        _yes("cluster-allow-replica-migration"),
        _size("cluster-link-sendbuf-limit", 0),
        _text("cluster-announce-ip"),
        _number("cluster-announce-port", 0, 0, 65535),
        _number("cluster-announce-tls-port", 0, 0, 65535),
        _number("cluster-announce-bus-port", 0, 0, 65535),
        _Entry("cluster-announce-hostname", HostName(), ""),
        _Entry("cluster-announce-human-nodename", NodeName(), ""),
        _one_of("cluster-preferred-endpoint-type", "ip hostname unknown-endpoint", "ip"),
        _number("cluster-compatibility-sample-ratio", 0, 0, 100),
        _no("cluster-slot-stats-enabled"),
    ),
    "there is no TLS": (
        _only(
            _number("tls-port", 0, 0, 65535),
            "tendis-py does not speak TLS: tls-port can only be 0",
        ),
        _text("tls-cert-file"),
        _text("tls-key-file"),
        _text("tls-key-file-pass"),
        _text("tls-client-cert-file"),
        _text("tls-client-key-file"),
        _text("tls-client-key-file-pass"),
        _text("tls-dh-params-file"),
        _text("tls-ca-cert-file"),
        _text("tls-ca-cert-dir"),
        _text("tls-protocols"),
        _text("tls-ciphers"),
        _text("tls-ciphersuites"),
        _one_of("tls-auth-clients", "no yes optional", "yes"),
        _no("tls-prefer-server-ciphers"),
        _only(_no("tls-cluster"), "tendis-py does not speak TLS: tls-cluster can only be no"),
        _only(
            _no("tls-replication"), "tendis-py does not speak TLS: tls-replication can only be no"
        ),
        _yes("tls-session-caching"),
        _number("tls-session-cache-size", 20480),
        _number("tls-session-cache-timeout", 300),
        _unsigned("max-new-tls-connections-per-cycle", 1, 1, 1000),
    ),
    "there are no scripts or modules": (_no("vset-force-single-threaded-execution"),),
    "the process stays in the foreground, and logs by itself": (
        _no("daemonize", runtime=False),
        _one_of("supervised", "upstart systemd auto no", "no", runtime=False),
        _no("syslog-enabled", runtime=False),
        _text("syslog-ident", "redis", runtime=False),
        _one_of(
            "syslog-facility",
            "user local0 local1 local2 local3 local4 local5 local6 local7",
            "local0",
            runtime=False,
        ),
        _no("always-show-logo", runtime=False),
        _yes("set-proc-title", runtime=False),
        _Entry("proc-title-template", ProcessTitle(), "{title} {listen-addr} {server-mode}"),
        _yes("crash-log-enabled"),
        _yes("crash-memcheck-enabled"),
        _no("hide-user-data-from-log"),
        _text("ignore-warnings"),
    ),
    "the operating system decides": (
        _one_of("oom-score-adj", "no yes relative absolute", "no"),
        _Entry("oom-score-adj-values", OomScores(), (0, 200, 800)),
        _text("server-cpulist server_cpulist", runtime=False),
        _text("bio-cpulist bio_cpulist", runtime=False),
        _text("aof-rewrite-cpulist aof_rewrite_cpulist", runtime=False),
        _text("bgsave-cpulist bgsave_cpulist", runtime=False),
        _unsigned("socket-mark-id", 0, 0, UINT_MAX, runtime=False),
    ),
    "text is ordered by its bytes": (_Entry("locale-collate", Locale(), ""),),
    "a signal ends the server as SHUTDOWN does": (
        _Entry("shutdown-on-sigint", _SHUTDOWN, ()),
        _Entry("shutdown-on-sigterm", _SHUTDOWN, ()),
    ),
    "connections are accepted in turns of up to 64": (
        _unsigned("max-new-connections-per-cycle", 10, 1, 1000),
    ),
}


def _directives() -> Iterator[tuple[Directive, Any]]:
    for reason, entries in _ENTRIES.items():
        for entry in entries:
            name, *aliases = entry.names.split()
            yield (
                Directive(
                    name=name,
                    attribute=name.replace("-", "_"),
                    kind=entry.kind,
                    help=reason,
                    runtime=entry.runtime,
                    aliases=tuple(aliases),
                    shown_default=None,
                    protected=entry.protected,
                    effect=False,
                ),
                entry.default,
            )


WITHOUT_EFFECT: Mapping[Directive, Any] = MappingProxyType(dict(_directives()))
"""Each with its default."""


class AcceptedSettings:
    """The values of those directives, for CONFIG GET, and INFO where it names them, to show."""

    __slots__ = tuple(directive.attribute for directive in WITHOUT_EFFECT)

    maxmemory: int
    maxmemory_policy: str
    repl_backlog_size: int

    def _accept_defaults(self) -> None:
        for directive, default in WITHOUT_EFFECT.items():
            setattr(self, directive.attribute, default)
