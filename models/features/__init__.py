"""Feature definitions, the catalogue with the item features, and the feature store's user rows."""
