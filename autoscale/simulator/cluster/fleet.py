"""The nodes in all pools: how they are requested, lost and removed, and their cost."""

import math

import numpy as np

from autoscale.simulator.cluster.nodes import Account, Node
from autoscale.spec import PipelineSpec

CLOSED_BEFORE_LOSS_S = 5.0
"""Routing to a spot node stops this long before its loss, or at the notice if the notice is shorter."""


class Fleet:
    """The nodes in each pool, and an account of their number and cost.

    Attributes:
        nodes: nodes by pool, including those that are starting.
        paid: by pool, the account of its nodes.
    """

    def __init__(self, spec: PipelineSpec, seed: int, *, spot: bool) -> None:
        """Start without nodes. If ``spot`` is set, spot nodes are reclaimed at random times."""
        self._pools, self._spot = spec.pools, spot
        self._random = np.random.default_rng((seed, 2))
        self.nodes: dict[str, list[Node]] = {name: [] for name in spec.pools}
        self.paid = {name: Account() for name in spec.pools}

    @property
    def cost(self) -> float:
        """Cost so far."""
        return sum(
            account.seconds * self._pools[name].price_per_hour / 3600 for name, account in self.paid.items()
        )

    def is_full(self, pool: str) -> bool:
        """Return whether the pool has ``max_nodes`` nodes."""
        return self.paid[pool].count >= self._pools[pool].max_nodes

    def add(self, name: str, number: int, ready_s: float) -> Node:
        """Add a node that will be up at ``ready_s``. It is paid for from now on."""
        pool = self._pools[name]
        node = Node(number, name, ready_s, [pool.cpus, float(pool.gpus), pool.memory_gib * 1024])
        node.empty_since_s = ready_s
        self.nodes[name].append(node)
        self.paid[name].change(1)
        self.paid[name].started += 1
        if self._spot and pool.spot is not None and pool.spot.interruptions_per_hour > 0:
            node.lost_s = ready_s + self._random.exponential(3600 / pool.spot.interruptions_per_hour)
        return node

    def moments_s(self, node: Node) -> tuple[float, ...]:
        """Return when a spot node gets its notice, stops receiving requests, and is lost. Empty for other nodes."""
        spot = self._pools[node.pool].spot
        if spot is None or node.lost_s == math.inf:
            return ()
        notice_s = max(node.ready_s, node.lost_s - spot.notice_s)
        return notice_s, max(notice_s, node.lost_s - CLOSED_BEFORE_LOSS_S), node.lost_s

    def drop(self, node: Node) -> None:
        """Remove a node."""
        self.nodes[node.pool].remove(node)
        self.paid[node.pool].change(-1)

    def fullest(self, pool: str, needs: tuple[float, float, float], now_s: float) -> Node | None:
        """Return the fullest node with room, or None. Nodes that are up come first, then those that are up soonest."""
        fitting = (node for node in self.nodes[pool] if node.has_room(needs))
        return min(fitting, key=lambda node: (max(now_s, node.ready_s), node.left, node.number), default=None)
