"""The code that runs in the cluster. ``app.py`` composes a pipeline from it."""
