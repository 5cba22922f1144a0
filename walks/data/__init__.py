"""The data of the world: catalogue, overlay, users, features, events and training data."""
