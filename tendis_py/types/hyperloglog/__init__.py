"""HyperLogLogs: their bytes, their arithmetic, and those under keys."""
