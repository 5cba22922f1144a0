"""Documents that people write in YAML: reading them, and reporting their faults with field, line and remedy."""
