"""The code that runs in the cluster, in the order of a request. ``app.py`` composes it."""
