"""The simulator: ``simulate.simulate(spec, policy, arrivals, options=SimulationOptions()) -> Simulation``.

It runs the same policy objects as the cluster. The modules ``options``, ``arrivals`` and ``results`` define its inputs
and outputs.
"""
