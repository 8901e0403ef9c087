"""A server that MIGRATE sends keys to. It acknowledges and forgets them: what is seen is what the
sending costs."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import BinaryIO

from bench.wire import HOST, OK, TIMEOUT

_AT_ONCE = 1 << 20


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """The port of one that takes one connection, and ends with the block."""
    with socket.create_server((HOST, 0)) as listener, contextlib.ExitStack() as stack:
        listener.settimeout(TIMEOUT)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                taken.append(connection)
                _acknowledge(connection)

        taken: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join)
        try:
            yield listener.getsockname()[1]
        finally:
            for one in (*taken, listener):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _acknowledge(connection: socket.socket) -> None:
    with connection, connection.makefile("rb", _AT_ONCE) as requests:
        while _skip_request(requests):
            connection.sendall(OK)


def _skip_request(requests: BinaryIO) -> bool:
    """Whether there was one."""
    head = requests.readline()
    for _ in range(int(head[1:] or 0)):
        left = int(requests.readline()[1:]) + 2
        while left:
            left -= len(requests.read(min(left, _AT_ONCE)))
    return bool(head)
