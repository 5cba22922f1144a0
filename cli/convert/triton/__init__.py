"""Triton: a repository of models, each with a config.pbtxt, joined by an ensemble."""
