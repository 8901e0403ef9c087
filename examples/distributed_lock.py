"""A lock that programs on many machines share: redis-py's, whose scripts release and extend it only
for its owner; and a number that grows with each holder, by which what the lock protects turns away
one that was held up for longer than its lock.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
from redis.exceptions import LockError

from support import running_server

TAKE_NUMBER = "return redis.call('INCR', KEYS[1])"
WRITE = """
-- The newest holder's number wins: what an earlier one still wants to write is refused.
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'number') or 0) then
  return redis.error_reply('STALE number ' .. ARGV[1])
end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'value', ARGV[2])
return redis.status_reply('OK')
"""


def count_up(client: Any, times: int) -> None:
    """Read, think, write: without the lock, threads would overwrite each other's counts."""
    for _ in range(times):
        with client.lock("locks:count", timeout=10, sleep=0.001, blocking_timeout=30):
            value = int(client.get("count") or 0)
            time.sleep(0.0005)
            client.set("count", value + 1)


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        threads = [threading.Thread(target=count_up, args=(client, 25)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("counted by four threads:", client.get("count"))
        assert client.get("count") == "100"

        # A holder that needs longer says so in time.
        with client.lock("locks:report", timeout=0.5) as lock:
            lock.extend(30, replace_ttl=True)
            print(f"extended: {client.pttl('locks:report') / 1000:.0f} s left")
            assert not client.lock("locks:report", blocking=False).acquire()

        # One that was held up loses the lock without noticing; its number gives it away.
        take_number, write = client.register_script(TAKE_NUMBER), client.register_script(WRITE)
        slow = client.lock("locks:file", timeout=0.1)
        assert slow.acquire()
        slow_number = take_number(keys=["numbers:file"])
        with client.lock("locks:file", timeout=10):  # waits until that of the slow one is over
            number = take_number(keys=["numbers:file"])
            write(keys=["file"], args=[number, "by the second"])
        try:
            write(keys=["file"], args=[slow_number, "by the first, late"])
        except redis.ResponseError as error:
            print("refused:", error)
        try:
            slow.release()
        except LockError as error:
            print("and its lock was gone:", error)
        assert client.hget("file", "value") == "by the second"


if __name__ == "__main__":
    main()
