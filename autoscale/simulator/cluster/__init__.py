"""The simulated cluster: replicas, fleets and the nodes they start on."""
