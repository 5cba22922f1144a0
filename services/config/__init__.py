"""The configuration of a pipeline: its schema, and how it is loaded."""
