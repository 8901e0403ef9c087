"""Strings: bytes, and what they are read as: numbers, bits, a text to compare."""
