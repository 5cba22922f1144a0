"""A pipeline's configuration: its schema, and how it is loaded."""
