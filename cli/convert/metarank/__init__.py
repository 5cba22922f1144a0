"""Metarank: one YAML file with features, models, store and API."""
