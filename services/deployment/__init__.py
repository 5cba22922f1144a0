"""Deployment: checks a pipeline, makes its Serve configuration, and starts it on Ray."""
