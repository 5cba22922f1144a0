"""The ingress: HTTP, request and response schemas, and the engine that serves them."""
