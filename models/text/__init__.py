"""Texts for rankers that read them: tokens, micro-batches of pairs, and Hugging Face models as artifacts."""
