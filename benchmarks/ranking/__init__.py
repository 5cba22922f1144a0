"""Ranking quality with a hold-out in time: metrics, intervals and baselines."""
