"""The world's data: catalogue, overlay, users, features, events and training data."""
