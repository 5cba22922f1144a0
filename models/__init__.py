"""What a model is: artifacts, features, architectures, runtimes, training."""
