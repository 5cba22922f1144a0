"""The step engine: steady states per time step, for long traces."""
