"""A replica's Prometheus metrics."""
