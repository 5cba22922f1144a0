"""A replica's price in a pool, and the number of replicas that the pool has room for."""

import math

from autoscale.spec import Key, PipelineSpec


def price(spec: PipelineSpec, key: Key) -> float:
    """Return a replica's price per hour.

    A replica takes a share of its node's CPUs, GPUs and memory. The largest of these shares, times the node's price, is
    the replica's price. For example, a replica with 1 of 8 CPUs and 1 of 2 GPUs costs half a node. In a pool without a
    price, a node costs 1. In an unknown pool, a replica costs 1.
    """
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
    """Return the most replicas that the bounds and the pool's nodes allow, if no other unit uses the nodes."""
    placed, pool = spec.placed(key), spec.pools.get(key.pool)
    if pool is None:
        return placed.max_replicas
    a_node = [pool.gpus / placed.gpus if placed.gpus else math.inf]
    a_node += [pool.cpus / placed.cpus if placed.cpus else math.inf]
    a_node += [pool.memory_gib * 1024 / placed.profile.memory_mib]
    return min(placed.max_replicas, max(placed.min_replicas, pool.max_nodes * math.floor(min(a_node))))
