"""The harness: load generators, servers under test, and how their figures are kept and shown."""
