"""Text rankers: tokens, micro-batches of text pairs, and Hugging Face models as artifacts."""
