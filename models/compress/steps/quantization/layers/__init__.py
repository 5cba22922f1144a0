"""Layers in int8: which ones there are, their codes, and the nodes that compute with them."""
