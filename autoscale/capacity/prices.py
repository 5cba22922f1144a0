"""What a replica costs in a pool, and how many of them the pool has room for."""

import math

from autoscale.spec import Key, PipelineSpec


def price(spec: PipelineSpec, key: Key) -> float:
    """Give what a replica costs an hour: its share of a node, by what it takes most of; 1 where no price is known."""
    placed, pool = spec.placed(key), spec.pools.get(key.pool)
    if pool is None:
        return 1.0
    share = max(
        placed.cpus / pool.cpus,
        placed.gpus / pool.gpus if pool.gpus else 0.0,
        placed.profile.memory_mib / 1024 / pool.memory_gib,
    )
    return max(share, 1e-6) * (pool.price_per_hour or 1.0)


def room(spec: PipelineSpec, key: Key) -> int:
    """Give how many replicas there may be, by the bounds and by the pool's nodes, were they for this unit alone."""
    placed, pool = spec.placed(key), spec.pools.get(key.pool)
    if pool is None:
        return placed.max_replicas
    a_node = [pool.gpus / placed.gpus if placed.gpus else math.inf]
    a_node += [pool.cpus / placed.cpus if placed.cpus else math.inf]
    a_node += [pool.memory_gib * 1024 / placed.profile.memory_mib]
    return min(placed.max_replicas, max(placed.min_replicas, pool.max_nodes * math.floor(min(a_node))))
