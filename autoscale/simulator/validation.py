"""What cannot be simulated is refused before anything runs, by the field and its value."""

import math

from autoscale.errors import ProfileError, SpecError
from autoscale.profiles import Profile
from autoscale.simulator.cluster.nodes import needs_of
from autoscale.simulator.options import SimulationOptions
from autoscale.spec import Key, PipelineSpec


def check_spec(spec: PipelineSpec, options: SimulationOptions) -> None:
    """Refuse what cannot be simulated.

    Raises:
        SpecError, ProfileError: by the field and its value.
    """
    if not spec.units or not all(unit.placed for unit in spec.units):
        raise SpecError(
            f"{spec.name}: every pipeline has a unit, and every unit is placed in a pool; add them"
        )
    names = [unit.name for unit in spec.units]
    if len(set(names)) < len(names) or len(names) > 16:
        raise SpecError(f"{spec.name} has the units {names}: give each its own name, and 16 at most")
    for name, value in (
        ("p99_ms", spec.p99_ms),
        ("deadline_ms", spec.deadline_ms),
        ("metrics_interval_s", spec.metrics_interval_s),
        ("decision_interval_s", spec.decision_interval_s),
    ):
        if not 0 < value < math.inf:
            raise SpecError(f"{name} of {spec.name} is {value}: give a finite number above 0")
    if spec.decision_interval_s < options.control_interval_s:
        raise SpecError(
            f"decision_interval_s {spec.decision_interval_s} is below the control loop's "
            f"{options.control_interval_s} s: raise it"
        )
    for key in spec.keys():
        _check_placed(spec, key)
    for unit in spec.units:
        limits = (unit.max_candidates, unit.max_waiting_candidates, unit.max_calls_in_flight)
        if min(limits) < 1:
            raise SpecError(f"unit {unit.name} has a limit of {min(limits)}: give 1 or more")
        if len({placed.pool for placed in unit.placed}) < len(unit.placed):
            raise SpecError(f"unit {unit.name} is in one pool twice: name each pool once")
    for failure in options.failures:
        if failure.pool not in spec.pools:
            raise SpecError(f"a failure is of pool {failure.pool}: the pipeline has {', '.join(spec.pools)}")
        if failure.unit is not None:
            spec.unit(failure.unit).in_pool(failure.pool)


def _check_placed(spec: PipelineSpec, key: Key) -> None:
    placed, pool = spec.placed(key), spec.pools.get(key.pool)
    if pool is None:
        raise SpecError(f"unit {key.unit} is in pool {key.pool}: add it to pools ({', '.join(spec.pools)})")
    if not isinstance(placed.profile, Profile):
        raise ProfileError(f"{key} has no profile: rankway models bench CONFIG makes it")
    if not 0 <= placed.min_replicas <= placed.max_replicas or placed.initial_replicas < 0:
        raise SpecError(
            f"{key} starts with {placed.initial_replicas} replicas, from {placed.min_replicas} to "
            f"{placed.max_replicas}: give 0 <= min_replicas <= max_replicas"
        )
    needs = needs_of(placed)
    for name, need, has in zip(
        ("cpus", "gpus", "MiB"), needs, (pool.cpus, pool.gpus, pool.memory_gib * 1024), strict=True
    ):
        if not 0 <= need <= has:
            raise SpecError(f"a replica of {key} takes {need:g} {name}: a node of the pool has {has:g}")
    if pool.min_nodes > pool.max_nodes:
        raise SpecError(
            f"pool {key.pool} has min_nodes {pool.min_nodes} above max_nodes {pool.max_nodes}: lower the former"
        )
