"""Features that change while a release is served: set live item features, and load replaced folders."""
