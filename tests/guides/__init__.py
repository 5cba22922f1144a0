"""The guides in docs/guides, followed as they stand."""
