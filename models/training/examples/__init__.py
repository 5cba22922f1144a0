"""Training examples: lists from impressions, sampled negatives, and users treated as unknown."""
