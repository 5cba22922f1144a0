"""Units: the Serve deployments of a pipeline, and the calls between them."""
