"""Ranking quality on a hold-out in time: metrics, intervals, baselines."""
