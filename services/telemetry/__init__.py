"""Prometheus metrics of a replica."""
