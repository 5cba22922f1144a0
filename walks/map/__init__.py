"""Helsinki's map: the street graph, places and geometry."""
