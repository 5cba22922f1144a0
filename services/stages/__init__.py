"""A pipeline's stages: pure functions from ragged batch to ragged batch."""
