"""Since when what a client has sent lies in its socket: the kernel stamps packets as they arrive.

A request that comes while its reactor has a turn waits there, and nothing in the server knows
before the next one. Linux does, for TCP; of Unix sockets nothing is known.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

_SO_TIMESTAMPNS = 35
"""Of Linux' asm-generic/socket.h; the socket module does not have it."""
_TIMESPEC = struct.Struct("@qq")
_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


def stamp_arrivals(listener: socket.socket) -> None:
    """Have the kernel stamp what comes in on the connections that ``listener`` accepts."""
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def waited_ns(sock: socket.socket) -> int | None:
    """For how many ns the first unread byte has been there; None where that is not known. Reads
    nothing."""
    try:
        _, ancillary, _, _ = sock.recvmsg(1, _SPACE, socket.MSG_PEEK)
    except OSError:
        return None
    for level, kind, stamp in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(stamp) == _TIMESPEC.size:
            seconds, ns = _TIMESPEC.unpack(stamp)
            # of the same clock, and not of the server's, which tests move
            waited: int = time.clock_gettime_ns(time.CLOCK_REALTIME) - seconds * 10**9 - ns
            return max(waited, 0)
    return None
