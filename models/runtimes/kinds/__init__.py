"""One file per runtime kind, with options and descriptor. The engine is imported when a model is loaded."""
