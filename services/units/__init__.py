"""Units: the Serve deployments, and the calls between them."""
