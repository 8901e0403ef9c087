"""tendis-py: a persistent, staged Redis-protocol server on trio, hiredis and RocksDB."""

__version__ = "0.1.0"
REDIS_VERSION = "8.2.3"
"""The Redis release whose behaviour, error texts and reply types this server follows."""
