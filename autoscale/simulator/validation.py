"""Validates a pipeline and the options before a simulation. Errors name the field and its value."""

import math

from autoscale.errors import ProfileError, SpecError
from autoscale.profiles import Profile
from autoscale.simulator.cluster.nodes import needs_of
from autoscale.simulator.options import SimulationOptions
from autoscale.spec import Key, PipelineSpec


def check_spec(spec: PipelineSpec, options: SimulationOptions) -> None:
    """Check that a pipeline can be simulated.

    Raises:
        SpecError: a pipeline field or a failure is invalid.
        ProfileError: a profile is missing.
    """
    if not spec.units or not all(unit.placed for unit in spec.units):
        raise SpecError(
            f"{spec.name}: a pipeline needs at least one unit, and every unit needs a pool; add the missing ones"
        )
    names = [unit.name for unit in spec.units]
    if len(set(names)) < len(names) or len(names) > 16:
        raise SpecError(f"{spec.name}: expected at most 16 units with different names, got {names}")
    for name, value in (
        ("p99_ms", spec.p99_ms),
        ("deadline_ms", spec.deadline_ms),
        ("metrics_interval_s", spec.metrics_interval_s),
        ("decision_interval_s", spec.decision_interval_s),
    ):
        if not 0 < value < math.inf:
            raise SpecError(f"{name} of {spec.name}: must be a finite number above 0, got {value}")
    if spec.decision_interval_s < options.control_interval_s:
        raise SpecError(
            f"decision_interval_s: must be at least the control loop's {options.control_interval_s} s, "
            f"got {spec.decision_interval_s}; raise decision_interval_s"
        )
    for key in spec.keys():
        _check_placed(spec, key)
    for unit in spec.units:
        limits = (unit.max_candidates, unit.max_waiting_candidates, unit.max_calls_in_flight)
        if min(limits) < 1:
            raise SpecError(
                f"units.{unit.name}: max_candidates, max_waiting_candidates and max_calls_in_flight must be at "
                f"least 1, got "
                f"{min(limits)}"
            )
        if len({placed.pool for placed in unit.placed}) < len(unit.placed):
            raise SpecError(f"units.{unit.name}.pools: a pool occurs twice; name each pool once")
    for failure in options.failures:
        if failure.pool not in spec.pools:
            raise SpecError(
                f"failures: unknown pool, got {failure.pool}; the pipeline has {', '.join(spec.pools)}"
            )
        if failure.unit is not None:
            spec.unit(failure.unit).in_pool(failure.pool)


def _check_placed(spec: PipelineSpec, key: Key) -> None:
    placed, pool = spec.placed(key), spec.pools.get(key.pool)
    if pool is None:
        raise SpecError(
            f"units.{key.unit}: unknown pool, got {key.pool}; add it to pools, or name one of {', '.join(spec.pools)}"
        )
    if not isinstance(placed.profile, Profile):
        raise ProfileError(f"{key}: has no profile; create it with `rankway models bench CONFIG`")
    if not 0 <= placed.min_replicas <= placed.max_replicas or placed.initial_replicas < 0:
        raise SpecError(
            f"{key}: expected 0 <= min_replicas <= max_replicas and 0 <= initial_replicas, got initial "
            f"{placed.initial_replicas}, min {placed.min_replicas} and max {placed.max_replicas}"
        )
    needs = needs_of(placed)
    for name, need, has in zip(
        ("cpus", "gpus", "MiB"), needs, (pool.cpus, pool.gpus, pool.memory_gib * 1024), strict=True
    ):
        if not 0 <= need <= has:
            raise SpecError(f"{key}: a replica needs {need:g} {name}, but a node in the pool has {has:g}")
    if pool.min_nodes > pool.max_nodes:
        raise SpecError(
            f"pools.{key.pool}: min_nodes must be at most max_nodes {pool.max_nodes}, got {pool.min_nodes}; "
            f"lower min_nodes"
        )
