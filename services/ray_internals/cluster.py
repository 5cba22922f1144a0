"""Internals of Ray clusters: a local node, its token, the key-value store, node labels and node draining."""

import ipaddress
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

Gcs: TypeAlias = Any
"""A client for Ray's global control store."""
Node: TypeAlias = Any
"""A node's id, in the format that this client uses."""
_LOOPBACK = "127.0.0.1"


def start_local_ray(cpus: int, metrics_port: int) -> None:
    """Start Ray on this machine, bound to loopback. It exports Prometheus metrics on ``metrics_port``.

    Ray replaces the handler of SIGTERM with one that ends the process. Here the caller's handler stays.
    """
    import ray

    _hide_token_notice()
    with _sigterm_kept(), _loopback_kept():
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            configure_logging=True,
            log_to_driver=False,
            _node_ip_address=_LOOPBACK,
            _metrics_export_port=metrics_port,
        )


def join_ray(address: str) -> None:
    """Join the running cluster at ``address``, host and port.

    Raises:
        ConnectionError, RuntimeError, ValueError: no cluster answers there.
    """
    import ray

    is_loopback = _is_loopback(address.rpartition(":")[0])
    with _loopback_kept() if is_loopback else nullcontext():
        ray.init(address=address, log_to_driver=False, configure_logging=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Set the handler of SIGTERM again. Ray replaces it with one that ends the process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before is not None and threading.current_thread() is threading.main_thread():  # others must not set it
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _loopback_kept() -> Iterator[None]:
    """Keep a loopback address as the node's address. Ray's processes then bind to loopback only.

    Otherwise Ray replaces it by the machine's address, so that other nodes can join, and binds to all addresses.
    """
    from ray._private import services

    original = services.resolve_ip_for_localhost

    def unchanged(host: str) -> str:
        return host

    services.resolve_ip_for_localhost = unchanged
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = original


def use_local_token() -> None:
    """Authenticate with the current user's token, if there is one and ``RAY_AUTH_MODE`` is not set."""
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )

    _hide_token_notice()
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _hide_token_notice() -> None:
    """Drop Ray's warning that a token protects the cluster, which is as it should be. Its other warnings stay."""
    from ray._private.authentication import authentication_token_setup

    authentication_token_setup.logger.addFilter(_is_no_token_notice)


def _is_no_token_notice(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Token authentication is enabled")


class RayKeys:
    """One namespace in Ray's internal key-value store. The process must have joined a cluster."""

    def __init__(self, namespace: bytes) -> None:
        """Select the namespace."""
        self._namespace = namespace

    def read(self, key: bytes) -> bytes | None:
        """Return a key's value, or None if there is none."""
        from ray.experimental.internal_kv import _internal_kv_get

        value: bytes | None = _internal_kv_get(key, namespace=self._namespace)
        return value

    def write(self, key: bytes, value: bytes) -> None:
        """Write a value, replacing an earlier one."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(key, value, True, namespace=self._namespace)


def check_node_labels(labels: Mapping[str, str]) -> None:
    """Check node labels against Ray's rules.

    Raises:
        ValueError: a label begins with ``ray.io``, or has a character that Ray refuses.
    """
    from ray._private.label_utils import validate_node_label_syntax, validate_node_labels

    validate_node_labels(dict(labels))
    validate_node_label_syntax(dict(labels))


def connect_gcs() -> Gcs:
    """Return a client for the cluster's control store.

    The cluster is at ``$RAY_ADDRESS``, or else on this machine.
    """
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    return GcsClient(address=canonicalize_bootstrap_address_or_die(None))  # type: ignore[arg-type]


def find_own_node(gcs: Gcs) -> Node:
    """Return the node at this pod's own address.

    Raises:
        RuntimeError: the cluster has no live node with that address.
    """
    from ray._private.services import get_node_ip_address
    from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]

    address = get_node_ip_address()  # type: ignore[no-untyped-call]
    for node, info in gcs.get_all_node_info().items():
        if info.node_manager_address == address and info.state == GcsNodeInfo.GcsNodeState.ALIVE:
            return node
    raise RuntimeError(f"the cluster has no live node at this pod's address, got {address}")


def drain_node(gcs: Gcs, node: Node, message: str, deadline_ms: int) -> None:
    """Ask Ray to move all work off a node by ``deadline_ms``, in milliseconds since 1970.

    Raises:
        RuntimeError: Ray refuses to drain the node.
    """
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]

    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    accepted, why = gcs.drain_node(node.hex(), reason, message, deadline_ms)
    if not accepted:
        raise RuntimeError(f"Ray refuses to drain node {node.hex()}: {why}")


async def replicas_on(gcs: Gcs, node: Node) -> list[str]:
    """Return the names of the live Serve replicas on a node."""
    from ray.serve._private.common import REPLICA_ID_FULL_ID_STR_PREFIX

    actors = await gcs.async_get_all_actor_info(actor_state_name="ALIVE")
    return [
        actor.name
        for actor in actors.values()
        if actor.name.startswith(REPLICA_ID_FULL_ID_STR_PREFIX) and actor.address.node_id == node.binary()
    ]
