"""The map of Helsinki: the street graph, places and geometry."""
