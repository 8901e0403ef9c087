"""Streams: entries, the nodes Redis would have, consumer groups."""
