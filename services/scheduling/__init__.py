"""Scheduling: admission, batching, and the choice of a rung for each request."""
