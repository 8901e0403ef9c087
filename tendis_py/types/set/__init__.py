"""Sets: their members, what sets have in common, random ones."""
