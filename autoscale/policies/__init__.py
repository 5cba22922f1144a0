"""Policies: pure functions from (now, observation, state) to a decision; cluster and simulator run the same ones."""
