"""Autoscaling: policies for Serve, the observations they get, and how their decisions are applied."""
