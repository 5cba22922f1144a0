"""A node leaves in order: its replicas are started elsewhere before they stop here.

Kubernetes evicts a pod without a word to Ray, whose replicas would end with the requests they have. So the pod asks Ray
to drain its node (``python -m services.deployment.drain``, before it stops): Serve then starts a replica elsewhere for
each that is there, has those here finish what they have, and takes them out of all routes.
"""

import argparse
import asyncio
import time
from typing import Any

from ray._private.services import canonicalize_bootstrap_address_or_die, get_node_ip_address
from ray._raylet import GcsClient, NodeID  # type: ignore[attr-defined]
from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]
from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]

_POLL_PERIOD_S = 1.0
_REPLICA = "SERVE_REPLICA::"  # how Serve's actors are named


async def leave(gcs: GcsClient, node: NodeID, limit_s: float) -> bool:
    """Drain the node; give whether its replicas were gone in time. Past the limit Serve stops them where they are.

    Raises:
        RuntimeError: Ray refuses.
    """
    until_s = time.time() + limit_s
    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    accepted, why = gcs.drain_node(node.hex(), reason, "its pod is going", int(until_s * 1000))
    if not accepted:
        raise RuntimeError(f"Ray does not drain node {node.hex()}: {why}")
    while await replicas_on(gcs, node):
        if time.time() > until_s:
            return False
        await asyncio.sleep(_POLL_PERIOD_S)
    return True


async def replicas_on(gcs: GcsClient, node: NodeID) -> list[str]:
    """Give the names of the Serve replicas that live on a node."""
    actors = await gcs.async_get_all_actor_info(actor_state_name="ALIVE")
    return [
        actor.name
        for actor in actors.values()
        if actor.name.startswith(_REPLICA) and actor.address.node_id == node.binary()
    ]


def own_node(gcs: GcsClient) -> NodeID:
    """Give the node of this pod, which has an address of its own.

    Raises:
        RuntimeError: no node of the cluster is here.
    """
    address = get_node_ip_address()  # type: ignore[no-untyped-call]
    alive = GcsNodeInfo.GcsNodeState.ALIVE
    nodes: dict[NodeID, Any] = gcs.get_all_node_info()
    for node, info in nodes.items():
        if info.node_manager_address == address and info.state == alive:
            return node
    raise RuntimeError(f"no node of the cluster is at {address}")


def main() -> None:
    """Leave with the node of this pod; ``$RAY_ADDRESS`` says of which cluster."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--limit-s", type=float, required=True, help="How long replicas may take to move.")
    limit_s: float = parser.parse_args().limit_s
    address = canonicalize_bootstrap_address_or_die(None)  # type: ignore[arg-type]
    gcs = GcsClient(address=address)
    moved = asyncio.run(leave(gcs, own_node(gcs), limit_s))
    print("its replicas are elsewhere" if moved else f"replicas were still here after {limit_s:g} s")


if __name__ == "__main__":
    main()
