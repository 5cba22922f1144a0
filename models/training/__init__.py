"""Training: builds artifacts from impressions, which are shown lists with labels."""
