"""The column families of a data folder; codec.py says what their rows mean."""

META, ROWS, SCORE, ENTRIES, EXPIRES, GARBAGE = range(6)
COLUMN_FAMILIES = ("meta", "rows", "score", "stream", "expires", "garbage")
SETTINGS = len(COLUMN_FAMILIES)
"""The default family, for a write that has very many of its rows."""

ELEMENT_FAMILIES = (ROWS, SCORE, ENTRIES)
"""Those whose keys begin with a version."""
