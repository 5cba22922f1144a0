"""Packings: the ways to fill a node with replicas. They are the columns in the planner's cutting-stock problem."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscale.capacity.request_capacity import RequestCapacity
from autoscale.errors import SpecError
from autoscale.spec import Key, PipelineSpec

_MAX_PACKINGS = 50_000


@dataclass(frozen=True, slots=True)
class Packing:
    """A way to fill a node in a pool. ``replicas`` has a number for each unit, in pipeline order."""

    pool: str
    replicas: tuple[int, ...]


def packings(spec: PipelineSpec, loads: Mapping[Key, RequestCapacity]) -> list[Packing]:
    """Return the packings for each pool. In each packing, the last unit has as many replicas as still fit.

    Raises:
        SpecError: a replica fits no node, or a node has too many packings.
    """
    results: list[Packing] = []
    for pool in spec.pools:
        room = [
            _fit(spec, Key(unit.name, pool)) if Key(unit.name, pool) in loads else 0 for unit in spec.units
        ]
        ways = math.prod(count + 1 for count in room[:-1])
        if ways > _MAX_PACKINGS:
            raise SpecError(
                f"pools.{pool}: too many ways to place replicas on a node, got {ways}; use smaller nodes"
            )
        for first in itertools.product(*(range(count, -1, -1) for count in room[:-1])):
            last = _room_left(spec, pool, first) if room[-1] else 0
            if last >= 0 and (any(first) or last):
                results.append(Packing(pool, (*first, last)))
    for unit in spec.units:
        index = spec.units.index(unit)
        if not any(packing.replicas[index] for packing in results):
            raise SpecError(
                f"units.{unit.name}: no replica fits a node in the unit's pools; use nodes with more cpus, gpus "
                f"or memory"
            )
    return results


def _needs(spec: PipelineSpec, key: Key) -> tuple[float, float, float]:
    placed = spec.placed(key)
    return placed.cpus, placed.gpus, placed.profile.memory_mib / 1024


def _resources(spec: PipelineSpec, pool: str) -> tuple[float, float, float]:
    node = spec.pools[pool]
    return node.cpus, float(node.gpus), node.memory_gib


def _fit(spec: PipelineSpec, key: Key) -> int:
    pairs = zip(_resources(spec, key.pool), _needs(spec, key), strict=True)
    return int(min(available / need + 1e-9 for available, need in pairs if need))


def _room_left(spec: PipelineSpec, pool: str, first: Sequence[int]) -> int:
    """Return how many replicas of the last unit fit beside the replicas ``first``, or -1 if ``first`` does not fit."""
    left = list(_resources(spec, pool))
    for unit, count in zip(spec.units, first, strict=False):
        if count:
            needs = _needs(spec, Key(unit.name, pool))
            left = [available - count * need for available, need in zip(left, needs, strict=True)]
    if min(left) < -1e-9:
        return -1
    last = spec.units[-1]
    if not any(placed.pool == pool for placed in last.placed):
        return 0
    pairs = zip(left, _needs(spec, Key(last.name, pool)), strict=True)
    return int(min((max(available, 0.0) / need + 1e-9 for available, need in pairs if need), default=0))


def largest_part(spec: PipelineSpec, key: Key) -> tuple[float, str]:
    """Return the largest share of a node's resource that a replica uses, and that resource's name."""
    parts = zip(_needs(spec, key), _resources(spec, key.pool), ("cpus", "gpus", "memory"), strict=True)
    return max((need / available, name) for need, available, name in parts if need)
