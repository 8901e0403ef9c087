"""LATENCY DOCTOR and LATENCY GRAPH: what the latency monitor has recorded, in prose and drawn.

The words are Redis'. Knows the monitor and the settings it is about, no more.
"""

from __future__ import annotations

from tendis_py.config import Config
from tendis_py.services.latency import Spikes
from tendis_py.services.sparkline import sparkline

COLUMNS, ROWS = 80, 4

_OFF = (
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You "
    'may use "CONFIG SET latency-monitor-threshold <milliseconds>." in order to enable it. If we '
    "weren't in a deep space mission I'd suggest to take a look at https://redis.io/docs/latest/"
    "operate/oss_and_stack/management/optimization/latency-monitor.\n"
)
_QUIET = (
    "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the "
    "slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think "
    "things over.\n"
)
_SPIKES = (
    "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, "
    "do you Dave?\n\n"
)
_LOG_NOTHING = (
    "- There are latency issues with potentially slow commands you are using. Try to enable the "
    "Slow Log Redis feature using the command 'CONFIG SET slowlog-log-slower-than {threshold}'. If "
    "the Slow log is disabled Redis is not able to log slow commands execution for you.\n"
)
_LOG_MORE = (
    "- Your current Slow Log configuration only logs events that are slower than your configured "
    "latency monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than {threshold}'.\n"
)
_LOOK = (
    "- Check your Slow Log to understand what are the commands you are running which are too slow "
    "to execute. Please check https://redis.io/commands/slowlog for more information.\n"
)
_STARVED = (
    "- The system is slow to execute Redis code paths not containing system calls. This usually "
    "means the system does not provide Redis CPU time to run for long periods. You should try to:\n"
    "  1) Lower the system load.\n"
    "  2) Use a computer / VM just for Redis if you are running other software in the same "
    "system.\n"
    '  3) Check if you have a "noisy neighbour" problem.\n'
    "  4) Check with 'redis-cli --intrinsic-latency 100' what is the intrinsic latency in your "
    "system.\n"
)
"""Without Redis' fifth advice, to be compiled with another allocator."""
_LOCAL_DISK = (
    "- It is strongly advised to use local disks for persistence, especially if you are using AOF. "
    "Remote disks provided by platform-as-a-service providers are known to be slow.\n"
)
_SSD = (
    "- SSD disks are able to reduce fsync latency. With extremely high write load SSD disks can be "
    "a good option. However Redis should perform reasonably with high load using normal disks. Use "
    "this advice as a last resort.\n"
)
_WRITEBACK = (
    "- Mounting ext3/4 filesystems with data=writeback can provide a performance boost compared to "
    "data=ordered, however this mode of operation provides less guarantees.\n"
)
"""Of these two Redis says more, about snapshots and half-written files, which is not so here."""
_CONTENTION = (
    "- Try to lower the disk contention. This is often caused by other disk intensive processes "
    "running in the same computer (including other Redis instances).\n"
)
_RELAX = (
    "- Your fsync policy is set to 'always'. It is very hard to get good performances with such a "
    "setup, if possible try to relax the fsync policy to 'onesec'.\n"
)
_HZ = (
    "- In order to make the Redis keys expiring process more incremental, try to set the 'hz' "
    "configuration parameter to 100 using 'CONFIG SET hz 100'.\n"
)
_OF_EVENTS = {
    _STARVED: {"fast-command"},
    _LOCAL_DISK: {"aof-write-pending-fsync", "aof-write-alone"},
    _SSD: {"aof-write-pending-fsync", "aof-write-alone"},
    _WRITEBACK: {"aof-write-pending-fsync", "aof-write-alone"},
    _CONTENTION: {"aof-write-pending-fsync"},
    _RELAX: {"aof-fsync-always"},
    _HZ: {"expire-cycle"},
}
"""Which advice is given after which events, in the order of Redis."""
_NO_ADVICE = (
    "While there are latency events logged, I'm not able to suggest any easy fix. Please use the "
    "Redis community to get some help, providing this report in your help request.\n"
)


def report(events: dict[str, Spikes], config: Config, now: int) -> str:
    """What LATENCY DOCTOR says of the events recorded, at Unix second ``now``."""
    if not events:
        return _QUIET if config.latency_monitor_threshold else _OFF
    found = [
        _sentence(number, name, spikes, now)
        for number, (name, spikes) in enumerate(events.items(), 1)
    ]
    advices = "".join(_advices(events, config))
    closing = f"I have a few advices for you:\n\n{advices}" if advices else _NO_ADVICE
    return f"{_SPIKES}{''.join(found)}\n{closing}"


def _sentence(number: int, name: str, spikes: Spikes, now: int) -> str:
    values = [milliseconds for _, milliseconds in spikes.samples]
    count = len(values)
    average = sum(values) // count
    deviation = sum(abs(average - value) for value in values) // count
    seconds = max(now - spikes.samples[0][0], 1)
    return (
        f"{number}. {name}: {count} latency spikes (average {average}ms, mean deviation "
        f"{deviation}ms, period {seconds / count:.2f} sec). Worst all time event "
        f"{spikes.worst}ms.\n"
    )


def _advices(events: dict[str, Spikes], config: Config) -> list[str]:
    """Redis also advises against deleting large objects, which here costs nothing."""
    advices = []
    threshold = config.latency_monitor_threshold * 1000
    if "command" in events:
        if config.slowlog_log_slower_than < 0 or not config.slowlog_max_len:
            advices.append(_LOG_NOTHING.format(threshold=threshold))
        elif config.slowlog_log_slower_than // 1000 > config.latency_monitor_threshold:
            advices.append(_LOG_MORE.format(threshold=threshold))
        advices.append(_LOOK)
    advices += [advice for advice, of in _OF_EVENTS.items() if not of.isdisjoint(events)]
    return advices


def graph(name: str, spikes: Spikes, now: int) -> str:
    """What LATENCY GRAPH draws of one event, at Unix second ``now``."""
    values = [milliseconds for _, milliseconds in spikes.samples]
    labelled = [(milliseconds, _ago(now - second)) for second, milliseconds in spikes.samples]
    return (
        f"{name} - high {max(values)} ms, low {min(values)} ms (all time high {spikes.worst} ms)\n"
        f"{'-' * COLUMNS}\n{sparkline(labelled, columns=COLUMNS, rows=ROWS)}"
    )


def _ago(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
