"""The server inside a trio program: ``async with`` it, talk to it, leave it."""

from __future__ import annotations

import tempfile

import trio

from tendis_py.config import Config
from tendis_py.server import serve


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = Config()
        config.dir = folder
        config.bind = ["127.0.0.1"]
        async with serve(config, port=0) as server:
            print("listening on", ", ".join(server.listening))
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            async with stream:
                await stream.send_all(b"SET greeting hello\r\nGET greeting\r\n")
                received = b""
                while received.count(b"\r\n") < 3:
                    received += await stream.receive_some()
                print(received.decode().split())
        # Leaving the block has finished what was under way and closed the data folder.
        print("closed")


if __name__ == "__main__":
    trio.run(main)
