"""The tuner: a search over policy parameters."""
