"""Compression: steps that make a model cheaper, chained by a recipe, and measured one by one."""
