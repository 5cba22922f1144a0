"""Commands of ``rankway autoscale``."""
