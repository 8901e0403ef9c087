"""Lists: packed or in rows, at their ends and in the middle."""
