"""Tests of the ``rankway autoscale`` commands."""
