"""The cluster: a pipeline's replicas and the nodes that they run on. Both engines use it.

A new replica goes to the fullest node with room, and nodes that are up come before nodes that are starting. If no node
has room, a new node is requested, up to ``max_nodes``.

If the target decreases, replicas that do not answer yet are removed first. Then replicas on the emptiest nodes are
drained and removed, as Serve does.
"""

import heapq
import itertools
import math
from collections.abc import Iterator

from autoscale.simulator.cluster.fleet import CLOSED_BEFORE_LOSS_S, Fleet
from autoscale.simulator.cluster.nodes import Account, Did, Node, NodeChange, Replica, needs_of
from autoscale.simulator.options import Failure
from autoscale.simulator.results import Incident
from autoscale.spec import Key, PipelineSpec

_DRAINS_S = 2.0
"""The least draining time in units behind the ingress, which is Serve's graceful_shutdown_wait_loop_s."""
_DRAINS_AT_MOST_S = 60.0
_ROUNDING_S = 1e-6


class Cluster:
    """A pipeline's nodes and replicas. Time is an argument and never decreases.

    Attributes:
        targets: requested replicas by key.
        replicas: all replicas by key, including those without a node.
        existing: by key, the account of replicas with a node.
        ready: by key, the account of replicas that answer.
        nodes: all nodes by pool.
        paid: by pool, the account of the nodes.
        incidents: incidents so far.
    """

    def __init__(
        self,
        spec: PipelineSpec,
        start_s: float,
        *,
        seed: int = 0,
        spot: bool = True,
        idle_node_s: float = 60.0,
        ingress_drain_s: float = 30.0,
        failures: tuple[Failure, ...] = (),
    ) -> None:
        """Start with ready initial replicas on running nodes.

        Args:
            spec: the pipeline.
            start_s: the simulation's start.
            seed: the seed for losing spot nodes at random.
            spot: whether spot nodes are reclaimed.
            idle_node_s: time for which an empty node is kept.
            ingress_drain_s: an ingress replica's least draining time.
            failures: failures to simulate.
        """
        self._spec, self._idle_node_s = spec, idle_node_s
        self._ingress_drain_s = ingress_drain_s
        self._now_s = self._start_s = start_s
        self._numbers = itertools.count()
        self._placed = {key: spec.placed(key) for key in spec.keys()}
        self._calendar: list[tuple[float, int, Node | Replica | Failure]] = []
        self._changes: list[NodeChange] = []
        self.incidents: list[Incident] = []
        self.targets = {
            key: min(max(p.initial_replicas, p.min_replicas), p.max_replicas)
            for key, p in self._placed.items()
        }
        self.replicas: dict[Key, list[Replica]] = {key: [] for key in self._placed}
        self.existing = {key: Account() for key in self._placed}
        self.ready = {key: Account() for key in self._placed}
        self._fleet = Fleet(spec, seed, spot=spot)
        self.nodes, self.paid = self._fleet.nodes, self._fleet.paid
        self._without_room: set[Key] = set()
        self._reported: set[Key] = set()
        for failure in failures:
            self._note(failure.at_s, failure)
        for name, pool in spec.pools.items():
            for _ in range(pool.min_nodes):
                self._new_node(name, start_s)
        for key in self._placed:
            for _ in range(self.targets[key]):
                self._new_replica(key, warm=True)

    @property
    def cost(self) -> float:
        """Cost so far."""
        return self._fleet.cost

    @property
    def next_s(self) -> float:
        """When the next event is due."""
        return self._calendar[0][0] if self._calendar else math.inf

    def set_target(self, now_s: float, key: Key, target: int) -> None:
        """Set a key's number of requested replicas."""
        self.pass_time(now_s)
        self.targets[key] = target
        self._reconcile(key)

    def pass_time(self, now_s: float) -> None:
        """Add the time until ``now_s`` to all accounts."""
        elapsed_s = now_s - self._now_s
        if elapsed_s > 0:
            for account in itertools.chain(self.existing.values(), self.ready.values(), self.paid.values()):
                account.pass_time(elapsed_s)
            self._now_s = now_s

    def happens(self, now_s: float) -> None:
        """Process all events that are due by ``now_s``."""
        self.pass_time(now_s)
        while self._calendar and self._calendar[0][0] <= now_s + _ROUNDING_S:
            _, _, due = heapq.heappop(self._calendar)
            if isinstance(due, Failure):
                self._apply_failure(due)
            elif isinstance(due, Node):
                self._node_due(due)
            else:
                self._replica_due(due)

    def changes(self) -> Iterator[NodeChange]:
        """Yield the changes since the last call. The engine must apply each of them once."""
        while self._changes:
            changes, self._changes = self._changes, []
            yield from changes

    def drained(self, replica: Replica) -> None:
        """Remove a draining replica that has no requests left."""
        self._remove(replica, "gone")

    def may_go(self, replica: Replica) -> bool:
        """Return whether a draining replica has reached its least draining time."""
        ingress = replica.key.unit == self._spec.units[0].name
        return self._now_s - replica.drains_since_s >= (self._ingress_drain_s if ingress else _DRAINS_S)

    # ---- replicas ----

    def _note(self, at_s: float, due: "Node | Replica | Failure") -> None:
        if at_s < math.inf:
            heapq.heappush(self._calendar, (at_s, next(self._numbers), due))

    def _reconcile(self, key: Key) -> None:
        counting = [replica for replica in self.replicas[key] if replica.counts]
        near = None
        for _ in range(self.targets[key] - len(counting)):
            near = self._new_replica(key, near=near)
        surplus = len(counting) - self.targets[key]
        if surplus > 0:
            counting.sort(key=_removal_order)
            for replica in counting[:surplus]:
                self._drain(replica)
            self._place_waiting()

    def _new_replica(self, key: Key, *, near: Node | None = None, warm: bool = False) -> Node | None:
        replica = Replica(next(self._numbers), key)
        self.replicas[key].append(replica)
        self._place(replica, near=near, warm=warm)
        return replica.node

    def _place(self, replica: Replica, *, near: Node | None = None, warm: bool = False) -> None:
        """Place a replica on a node.

        Args:
            replica: the replica.
            near: the previous replica's node. It is the fullest node if it still has room.
            warm: whether the replica is ready at once, on a running node.
        """
        key = replica.key
        placed, pool = self._placed[key], self._spec.pools[key.pool]
        needs = needs_of(placed)
        node = (
            near
            if near is not None and near.has_room(needs)
            else self._fleet.fullest(key.pool, needs, self._now_s)
        )
        if node is None:
            if self._fleet.is_full(key.pool):
                self._without_room.add(key)
                if key not in self._reported:
                    self._reported.add(key)
                    self._report(
                        f"no room for a replica of {key}: pool {key.pool} already has its max_nodes, {pool.max_nodes}"
                    )
                return
            node = self._new_node(key.pool, self._now_s + (0.0 if warm else pool.provisioning_s))
        replica.node = node
        node.replicas.add(replica)
        node.left = [left - need for left, need in zip(node.left, needs, strict=True)]
        self.existing[key].change(1)
        self.existing[key].started += 1
        starts_s = max(self._now_s, node.ready_s)
        replica.ready_s = self._now_s if warm else starts_s + placed.profile.startup_s
        self._note(replica.ready_s, replica)

    def _place_waiting(self) -> None:
        for key in [key for key in self._placed if key in self._without_room]:
            self._without_room.discard(key)
            for replica in self.replicas[key]:
                if replica.node is None and key not in self._without_room:
                    self._place(replica)

    def _replica_due(self, replica: Replica) -> None:
        if replica.node is None:
            return  # it was removed
        if replica.drains_since_s < math.inf:
            if self._now_s - replica.drains_since_s >= _DRAINS_AT_MOST_S - _ROUNDING_S:
                self._remove(replica, "died")
        elif not replica.is_open and replica.ready_s <= self._now_s + _ROUNDING_S:
            replica.is_open = True
            self.ready[replica.key].change(1)
            self._changes.append(NodeChange("opened", replica))

    def _close(self, replica: Replica) -> None:
        if replica.is_open:
            replica.is_open = False
            self.ready[replica.key].change(-1)
            self._changes.append(NodeChange("closed", replica))

    def _drain(self, replica: Replica) -> None:
        replica.counts = False
        if not replica.is_open:
            self._remove(replica, "gone")
            return
        self._close(replica)
        replica.drains_since_s = self._now_s
        self._note(self._now_s + _DRAINS_AT_MOST_S, replica)

    def _remove(self, replica: Replica, did: Did) -> None:
        self._close(replica)
        self.replicas[replica.key].remove(replica)
        replica.counts = False
        node, replica.node = replica.node, None
        if node is None:
            return
        if did == "died":
            self.existing[replica.key].lost += 1
        self._changes.append(NodeChange(did, replica))
        self.existing[replica.key].change(-1)
        node.replicas.remove(replica)
        node.left = [
            left + need for left, need in zip(node.left, needs_of(self._placed[replica.key]), strict=True)
        ]
        if not node.replicas:
            node.empty_since_s = self._now_s
            self._note(self._now_s + self._idle_node_s, node)

    # ---- nodes ----

    def _new_node(self, pool: str, ready_s: float) -> Node:
        node = self._fleet.add(pool, next(self._numbers), ready_s)
        for at_s in self._fleet.moments_s(node):
            self._note(at_s, node)
        return node

    def _node_due(self, node: Node) -> None:
        nodes = self.nodes[node.pool]
        if node not in nodes:
            return
        pool = self._spec.pools[node.pool]
        if node.lost_s <= self._now_s + _ROUNDING_S:
            self._lose(node, "reclaimed")
        elif pool.spot is not None and node.lost_s - pool.spot.notice_s <= self._now_s + _ROUNDING_S:
            self._notice(node)
        elif (
            not node.replicas
            and self._now_s - node.empty_since_s >= self._idle_node_s - _ROUNDING_S
            and len(nodes) > pool.min_nodes
        ):
            self._drop(node)

    def _drop(self, node: Node) -> None:
        self._fleet.drop(node)
        self._place_waiting()

    def _notice(self, node: Node) -> None:
        replicas = sorted(node.replicas, key=lambda replica: replica.number)
        if not node.noticed:
            node.noticed = True
            node.left = [0.0, 0.0, 0.0]
            self._report(f"a spot node in pool {node.pool} with {len(replicas)} replicas will be reclaimed")
            for replica in replicas:
                replica.counts = False
            for key in {replica.key for replica in replicas}:
                self._reconcile(key)
        if node.lost_s - CLOSED_BEFORE_LOSS_S <= self._now_s + _ROUNDING_S:
            for replica in replicas:
                self._close(replica)
                replica.drains_since_s = min(replica.drains_since_s, self._now_s)

    def _lose(self, node: Node, how: str) -> None:
        replicas = sorted(node.replicas, key=lambda replica: replica.number)
        self._report(f"a node in pool {node.pool} with {len(replicas)} replicas was {how}")
        self.paid[node.pool].lost += 1
        for replica in replicas:
            self._remove(replica, "died")
        self._drop(node)
        pool = self._spec.pools[node.pool]
        while len(self.nodes[node.pool]) < pool.min_nodes:
            self._new_node(node.pool, self._now_s + pool.provisioning_s)
        for key in {replica.key for replica in replicas}:
            self._reconcile(key)

    def _apply_failure(self, failure: Failure) -> None:
        if failure.unit is None:
            # The fullest nodes first, because the loss of an empty node shows no effect.
            nodes = sorted(self.nodes[failure.pool], key=lambda node: (-len(node.replicas), node.number))
            for node in nodes[: failure.count]:
                self._lose(node, "lost")
            return
        key = Key(failure.unit, failure.pool)
        replicas = [replica for replica in self.replicas[key] if replica.is_open][: failure.count]
        self._report(f"{len(replicas)} replicas of {key} died")
        for replica in replicas:
            self._remove(replica, "died")
        self._reconcile(key)

    def _report(self, what: str) -> None:
        self.incidents.append(Incident(self._now_s, what))


def _removal_order(replica: Replica) -> tuple[bool, bool, int, int]:
    node = replica.node
    return node is not None, replica.is_open, 0 if node is None else len(node.replicas), -replica.number
