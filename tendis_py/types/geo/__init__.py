"""Places: sorted sets whose scores are geohashes."""
