"""Vespa: a schema with fields, ONNX models and rank profiles."""
