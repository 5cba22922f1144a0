"""Deployment: check a pipeline, make its Serve configuration, and start it on Ray."""
