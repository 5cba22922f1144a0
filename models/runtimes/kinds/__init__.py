"""One file per kind of runtime, with its options and its descriptor. The engine is imported when a model is loaded."""
