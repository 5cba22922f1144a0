"""Training: builds artifacts from impressions, which are lists of shown items with their labels."""
