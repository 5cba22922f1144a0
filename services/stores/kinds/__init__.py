"""A file for each kind of store: its options and its descriptor. The client library is imported when one is opened."""
