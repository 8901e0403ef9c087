"""The types: Python values on the keyspace. A module or a folder per type; no RESP, no RocksDB."""
