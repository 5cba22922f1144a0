"""The nodes of all pools: asked for, taken back where they are spot nodes, given back, and paid for."""

import math

import numpy as np

from autoscale.simulator.cluster.nodes import Account, Node
from autoscale.spec import PipelineSpec

CLOSED_BEFORE_LOSS_S = 5.0
"""A node that will be taken back is routed to until so long before, or from the notice on where that is shorter."""


class Fleet:
    """Nodes by pool, and what is paid for them. spot: whether spot nodes are taken back, at random."""

    def __init__(self, spec: PipelineSpec, seed: int, *, spot: bool) -> None:
        """Start without a node."""
        self._pools, self._spot = spec.pools, spot
        self._random = np.random.default_rng((seed, 2))
        self.nodes: dict[str, list[Node]] = {name: [] for name in spec.pools}
        self.paid = {name: Account() for name in spec.pools}

    @property
    def cost(self) -> float:
        """What the nodes have cost so far."""
        return sum(
            account.seconds * self._pools[name].price_per_hour / 3600 for name, account in self.paid.items()
        )

    def is_full(self, pool: str) -> bool:
        """Whether the pool has all the nodes that it may have."""
        return self.paid[pool].count >= self._pools[pool].max_nodes

    def add(self, name: str, number: int, ready_s: float) -> Node:
        """Ask for a node; it is paid for from now on."""
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
        """Give when a spot node is noticed, routed to no more, and taken back; of another node none."""
        spot = self._pools[node.pool].spot
        if spot is None or node.lost_s == math.inf:
            return ()
        notice_s = max(node.ready_s, node.lost_s - spot.notice_s)
        return notice_s, max(notice_s, node.lost_s - CLOSED_BEFORE_LOSS_S), node.lost_s

    def drop(self, node: Node) -> None:
        """Give a node back."""
        self.nodes[node.pool].remove(node)
        self.paid[node.pool].change(-1)

    def fullest(self, pool: str, needs: tuple[float, float, float], now_s: float) -> Node | None:
        """Give the fullest node with room, of those that are up first."""
        fitting = (node for node in self.nodes[pool] if node.has_room(needs))
        return min(fitting, key=lambda node: (max(now_s, node.ready_s), node.left, node.number), default=None)
