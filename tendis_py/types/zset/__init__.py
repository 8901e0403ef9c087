"""Sorted sets: their two forms, members, ranges, and what they have in common."""
