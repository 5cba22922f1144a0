"""Texts for rankers that read them: tokens, pairs of texts as micro-batches, Hugging Face models as artifacts."""
