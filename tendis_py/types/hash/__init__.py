"""Hashes: their fields, the values, the deadlines."""
