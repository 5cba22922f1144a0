"""Texts of the world: their encoder, search queries and a ranker of texts."""
