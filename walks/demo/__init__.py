"""The demo: a small world with trained models that ships with Rankway, for `make demo`."""
