"""Policies: pure functions from (now, observation, state) to a decision. Cluster and simulator run the same objects."""
