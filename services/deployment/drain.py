"""Drain a node in order: its replicas start elsewhere before they stop here.

Kubernetes evicts a pod without telling Ray, so the pod's replicas would stop in the middle of their requests. Before
the pod stops, it therefore runs ``python -m services.deployment.drain``, which asks Ray to drain its node. Serve then
starts a replacement for each replica, lets the old ones finish their requests, and removes them from all routes.
"""

import argparse
import asyncio
import time

from services.ray_internals.cluster import Gcs, Node, connect_gcs, drain_node, find_own_node, replicas_on

_POLL_PERIOD_S = 1.0


async def leave(gcs: Gcs, node: Node, limit_s: float) -> bool:
    """Drain the node, and return whether its replicas had moved in time.

    After ``limit_s`` seconds Serve stops the remaining replicas on the node.

    Raises:
        RuntimeError: Ray refuses to drain the node.
    """
    until_s = time.time() + limit_s
    drain_node(gcs, node, "the pod is being deleted", int(until_s * 1000))
    while await replicas_on(gcs, node):
        if time.time() > until_s:
            return False
        await asyncio.sleep(_POLL_PERIOD_S)
    return True


def main() -> None:
    """Drain this pod's node. ``$RAY_ADDRESS`` names the cluster."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--limit-s", type=float, required=True, help="Time for replicas to move to other nodes, in seconds."
    )
    limit_s: float = parser.parse_args().limit_s
    gcs = connect_gcs()
    moved = asyncio.run(leave(gcs, find_own_node(gcs), limit_s))
    print("all replicas have moved" if moved else f"some replicas had not moved after {limit_s:g} s")


if __name__ == "__main__":
    main()
