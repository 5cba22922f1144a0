"""Feature definitions, the catalogue that holds item features, and the user rows of the stores."""
