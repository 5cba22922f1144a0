"""Shard groups: one model over several processes."""
