"""Models: artifacts, features, architectures, runtimes and training."""
