"""Texts of the world: their encoder, search queries and a text ranker."""
