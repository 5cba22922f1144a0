"""The planner: the cheapest nodes that a pipeline fits on."""
