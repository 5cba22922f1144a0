"""Registries: the kinds of runtime, stage, store, policy and candidate source, built in or from other packages."""
