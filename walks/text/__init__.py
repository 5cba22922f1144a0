"""The world's texts: an encoder, search queries and a text ranker."""
