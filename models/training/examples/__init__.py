"""Training examples: lists of impressions, their negatives, and users taken as unknown."""
