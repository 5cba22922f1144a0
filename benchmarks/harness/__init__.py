"""The harness: load generators, the servers under test, and the storage and display of their figures."""
