"""`python -m bench.bare_loop`: the least a server in Python can do, the floor under a PING.

One epoll loop: accept, receive, send `+PONG` for every request, nothing else. It parses nothing, so
it answers anything that looks like a RESP array, and is only good for being measured with PING.
"""

import argparse
import select
import socket

from bench.wire import HOST

PONG = b"+PONG\r\n"
_BACKLOG = 511
_RECEIVE_SIZE = 1 << 16


def serve(listener: socket.socket) -> None:
    """Answer whoever connects, for ever."""
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in poller.poll():
            client = clients.get(descriptor)
            if client is None:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)
                continue
            try:
                # A PING has one "*", at its beginning: cut anywhere, it is answered exactly once.
                requests = client.recv(_RECEIVE_SIZE)
                if requests:
                    client.send(PONG * requests.count(b"*"))
                    continue
            except ConnectionError:
                pass
            del clients[descriptor]
            client.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.bare_loop", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with socket.create_server((HOST, options.port), backlog=_BACKLOG) as listener:
        serve(listener)


if __name__ == "__main__":
    main()
