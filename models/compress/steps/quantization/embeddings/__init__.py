"""Embedding tables as rows in int8."""
