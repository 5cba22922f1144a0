"""One file for each kind of store, with its options and descriptor. Opening a store imports its client library."""
