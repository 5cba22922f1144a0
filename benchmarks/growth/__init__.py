"""How cost grows with candidates, history length, catalogue, users, replicas, and the replicas that Serve controls."""
