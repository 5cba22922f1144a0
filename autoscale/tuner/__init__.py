"""The tuner: a search over the parameters of policies."""
