"""Autoscaling: Serve's policies, what they observe, and what they decide."""
