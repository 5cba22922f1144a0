"""The work that every peer does for a request, in numpy and ONNX Runtime, without any code of Rankway."""
