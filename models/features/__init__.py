"""Feature definitions, the catalogue with the item features, and the user rows of the feature store."""
