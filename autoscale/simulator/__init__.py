"""The simulator: ``simulate.simulate(spec, policy, arrivals, options=SimulationOptions()) -> Simulation``.

It runs the policy objects that the cluster runs. In ``options`` is how, in ``arrivals`` on what, in ``results`` what
comes out.
"""
