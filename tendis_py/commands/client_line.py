"""A client in one line, as CLIENT LIST shows it, and ACL LOG."""

from __future__ import annotations

from tendis_py.config.syntax import encode
from tendis_py.services.pubsub import figures
from tendis_py.session import Session


def client_line(session: Session, last_command: str, now: float) -> bytes:
    """A line of CLIENT LIST at ``now`` (monotonic), with Redis' fields in Redis' order.

    Input that no request has used yet is ``qbuf``, replies not sent yet are ``omem``; there are
    no other buffers to a connection here, so what Redis says of its own is 0.
    """
    peer = session.peer
    channels, patterns, shard_channels = figures(session)
    waiting, unsent, pieces = peer.input_bytes, peer.output_bytes, peer.output_pieces
    tracking, transaction = session.tracking, session.transaction
    flags = (
        f"{'O' * session.monitors}{'P' * (session.kind == 'pubsub')}"
        f"{'x' * (transaction is not None)}{'b' * session.blocked}"
    )
    redirect = -1
    if tracking is not None:
        flags += f"t{'R' * tracking.broken}{'B' * tracking.broadcasts}"
        redirect = tracking.redirect
    flags += (
        f"{'d' * session.stale}{'U' * session.unix}{'e' * session.no_evict}{'T' * session.no_touch}"
    )
    queued_bytes = session.queued_bytes
    queued = -1 if transaction is None else len(transaction.requests)
    head = f"id={session.id} addr={session.address} laddr={session.local_address} fd={session.fd} "
    tail = (
        f" age={int(now - session.created)} idle={int(now - session.last_active)} "
        f"flags={flags or 'N'} db={session.database} sub={channels} psub={patterns} "
        f"ssub={shard_channels} multi={queued} watch={len(session.watched)} "
        f"qbuf={waiting} qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl=0 "
        f"oll={pieces} "
        f"omem={unsent} tot-mem={waiting + unsent + queued_bytes} events={'rw' if unsent else 'r'} "
        f"cmd={last_command} user="
    )
    more = f" redir={redirect} resp={session.protocol} "
    library = b"lib-name=%b lib-ver=%b" % (session.lib_name, session.lib_version)
    totals = (
        f" io-thread={peer.thread} tot-net-in={session.net_in} tot-net-out={session.net_out} "
        f"tot-cmds={session.commands}\n"
    )
    return b"".join(
        (
            *(encode(head), b"name=", session.name, encode(tail), session.user.name, encode(more)),
            *(library, encode(totals)),
        )
    )
