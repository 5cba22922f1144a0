"""Pruning: the least important heads, hidden units, layers or single weights are removed."""
