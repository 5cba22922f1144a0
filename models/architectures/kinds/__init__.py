"""One descriptor per architecture: its options and its module.

The modules themselves import only PyTorch, so that they also run where pydantic is not installed.
"""
