"""A file for each kind of runtime: its options and its descriptor. What executes a model is imported when one loads."""
