"""Deployment: check a pipeline, make its Serve config, and start the pipeline on Ray."""
