"""Training examples: lists of impressions, sampled negatives, and users treated as unknown."""
