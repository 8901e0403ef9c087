"""One stop of half a second, seen by clients that wait for it and by clients that do not.

Needs ``pip install 'tendis-py[load]'`` and ``pip install redis``, the client.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import redis

from support import running_server

CLIENTS = 10
LOAD = ("--seconds", "2", "--connections", str(CLIENTS), "--mix", "get", "--json", "-")
LOOPS = {
    "closed loop: each of ten clients asks again when it has its answer": (),
    "open loop: 2,000 requests arrive a second, whatever the server does": ("--rate", "2000"),
}


def stop(port: int) -> None:
    """Keep all others waiting for half a second, in the middle of the load."""
    with redis.Redis(port=port) as client:
        while client.info("clients")["connected_clients"] < CLIENTS:
            time.sleep(0.05)
        time.sleep(0.5)
        client.client_pause(500, all=True)


def measure(port: int, *options: str) -> dict[str, float]:
    """Latencies in µs of one run of ``tendis-py load``."""
    stopping = threading.Thread(target=stop, args=(port,))
    stopping.start()
    command = [sys.executable, "-m", "tendis_py", "load", f"127.0.0.1:{port}", *LOAD, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stopping.join()
    latency: dict[str, float] = json.loads(done.stdout)["latency_us"]["all"]
    return latency


def main() -> None:
    with running_server() as port:
        for name, options in LOOPS.items():
            latency = measure(port, *options)
            figures = (f"{place} {latency[place] / 1000:.1f} ms" for place in ("p50", "p99", "max"))
            print(f"{name}\n  {', '.join(figures)}")


if __name__ == "__main__":
    main()
