"""Registries: kinds of runtimes, stages, stores, policies and candidate sources, built in or from other packages."""
