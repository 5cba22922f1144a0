"""The tuner: searches the parameters of policies."""
