"""Training: impressions in, artifacts out."""
