"""The stages of a pipeline: pure functions from ragged batch to ragged batch."""
