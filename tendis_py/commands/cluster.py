"""CLUSTER and what else only a node of a cluster has a use for: all refused, as by a Redis that is
none. Clients ask whether this is a cluster, and go by the refusal."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.registry import command, container
from tendis_py.errors import NO_CLUSTER, ReplyError
from tendis_py.resp.replies import Reply

_PLAIN = "stale"
_ASKED_EARLY = "loading stale"
_ADMIN = "admin stale"
_CHANGES = "admin stale no_async_loading"
_VARIES = ("nondeterministic_output",)


def _refused(
    name: str,
    arity: int,
    summary: str,
    *,
    flags: str,
    since: str = "3.0.0",
    complexity: str = "O(1)",
    syntax: str = "",
    categories: str = "",
    tips: tuple[str, ...] = (),
) -> None:
    """Declare a command of which there is no more than the declaration."""

    def refuse(ctx: Context, args: list[bytes]) -> Reply:
        raise ReplyError(NO_CLUSTER)

    refuse.__doc__ = summary
    command(
        name,
        arity,
        group="cluster",
        since=since,
        flags=flags,
        complexity=complexity,
        categories=categories,
        tips=tips,
        syntax=syntax,
    )(refuse)


_connection = partial(_refused, arity=1, categories="connection")

_connection(
    "readonly",
    flags="loading stale fast",
    summary="Enables read-only queries for a connection to a Redis Cluster replica node.",
)
_connection(
    "readwrite",
    flags="loading stale fast",
    summary="Enables read-write queries for a connection to a Reids Cluster replica node.",
)
_connection(
    "asking",
    flags="fast",
    summary="Signals that a cluster client is following an -ASK redirect.",
)

container(
    "cluster",
    group="cluster",
    since="3.0.0",
    summary="A container for Redis Cluster commands.",
)

# What this node knows

_refused(
    "cluster|help",
    2,
    "Returns helpful text about the different subcommands.",
    flags=_ASKED_EARLY,
    since="5.0.0",
)
_refused(
    "cluster|info",
    2,
    "Returns information about the state of a node.",
    flags=_PLAIN,
    tips=_VARIES,
)
_refused("cluster|myid", 2, "Returns the ID of a node.", flags=_PLAIN)
_refused(
    "cluster|myshardid",
    2,
    "Returns the shard ID of a node.",
    flags=_PLAIN,
    since="7.2.0",
    tips=_VARIES,
)
_refused(
    "cluster|nodes",
    2,
    "Returns the cluster configuration for a node.",
    flags=_PLAIN,
    complexity="O(N) where N is the total number of Cluster nodes",
    tips=_VARIES,
)
_refused(
    "cluster|links",
    2,
    "Returns a list of all TCP links to and from peer nodes.",
    flags=_PLAIN,
    since="7.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    tips=_VARIES,
)
_refused(
    "cluster|slots",
    2,
    "Returns the mapping of cluster slots to nodes.",
    flags=_ASKED_EARLY,
    complexity="O(N) where N is the total number of Cluster nodes",
    tips=_VARIES,
)
_refused(
    "cluster|shards",
    2,
    "Returns the mapping of cluster slots to shards.",
    flags=_ASKED_EARLY,
    since="7.0.0",
    complexity="O(N) where N is the total number of cluster nodes",
    tips=_VARIES,
)
_refused(
    "cluster|slot-stats",
    -4,
    "Return an array of slot usage statistics for slots assigned to the current node.",
    flags=_ASKED_EARLY,
    since="8.2.0",
    complexity=(
        "O(N) where N is the total number of slots based on arguments. O(N*log(N)) with ORDERBY "
        "subcommand."
    ),
    tips=("nondeterministic_output", "request_policy:all_shards"),
    syntax="<SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC]>",
)
_refused(
    "cluster|keyslot",
    3,
    "Returns the hash slot for a key.",
    flags=_PLAIN,
    complexity="O(N) where N is the number of bytes in the key",
    syntax="key",
)
_refused(
    "cluster|countkeysinslot",
    3,
    "Returns the number of keys in a hash slot.",
    flags=_PLAIN,
    syntax="slot",
)
_refused(
    "cluster|getkeysinslot",
    4,
    "Returns the key names in a hash slot.",
    flags=_PLAIN,
    complexity="O(N) where N is the number of requested keys",
    tips=_VARIES,
    syntax="slot count",
)
for _name, _since in (("replicas", "5.0.0"), ("slaves", "3.0.0")):
    _refused(
        f"cluster|{_name}",
        3,
        "Lists the replica nodes of a master node.",
        flags=_ADMIN,
        since=_since,
        complexity="O(N) where N is the number of replicas.",
        tips=_VARIES,
        syntax="node-id",
    )
_refused(
    "cluster|count-failure-reports",
    3,
    "Returns the number of active failure reports active for a node.",
    flags=_ADMIN,
    complexity="O(N) where N is the number of failure reports",
    tips=_VARIES,
    syntax="node-id",
)

# What changes it

for _name, _summary in (
    ("addslots", "Assigns new hash slots to a node."),
    ("delslots", "Sets hash slots as unbound for a node."),
):
    _refused(
        f"cluster|{_name}",
        -3,
        _summary,
        flags=_CHANGES,
        complexity="O(N) where N is the total number of hash slot arguments",
        syntax="slot [slot ...]",
    )
for _name, _summary in (
    ("addslotsrange", "Assigns new hash slot ranges to a node."),
    ("delslotsrange", "Sets hash slot ranges as unbound for a node."),
):
    _refused(
        f"cluster|{_name}",
        -4,
        _summary,
        flags=_CHANGES,
        since="7.0.0",
        complexity=(
            "O(N) where N is the total number of the slots between the start slot and end slot "
            "arguments."
        ),
        syntax="start-slot end-slot [start-slot end-slot ...]",
    )
_refused(
    "cluster|flushslots",
    2,
    "Deletes all slots information from a node.",
    flags=_CHANGES,
)
_refused(
    "cluster|setslot",
    -4,
    "Binds a hash slot to a node.",
    flags=_CHANGES,
    syntax="slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>",
)
_refused(
    "cluster|meet",
    -4,
    "Forces a node to handshake with another node.",
    flags=_CHANGES,
    syntax="ip port [cluster-bus-port]",
)
_refused(
    "cluster|forget",
    3,
    "Removes a node from the nodes table.",
    flags=_CHANGES,
    syntax="node-id",
)
_refused(
    "cluster|replicate",
    3,
    "Configure a node as replica of a master node.",
    flags=_CHANGES,
    syntax="node-id",
)
_refused(
    "cluster|failover",
    -2,
    "Forces a replica to perform a manual failover of its master.",
    flags=_CHANGES,
    syntax="[FORCE | TAKEOVER]",
)
_refused(
    "cluster|reset",
    -2,
    "Resets a node.",
    flags="admin noscript stale",
    complexity=(
        "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side "
        "effect."
    ),
    syntax="[HARD | SOFT]",
)
_refused(
    "cluster|set-config-epoch",
    3,
    "Sets the configuration epoch for a new node.",
    flags=_CHANGES,
    syntax="config-epoch",
)
_refused(
    "cluster|bumpepoch",
    2,
    "Advances the cluster config epoch.",
    flags=_CHANGES,
    tips=_VARIES,
)
_refused(
    "cluster|saveconfig",
    2,
    "Forces a node to save the cluster configuration to disk.",
    flags=_CHANGES,
)
