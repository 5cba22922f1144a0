"""Tests of the commands of ``rankway autoscale``."""
