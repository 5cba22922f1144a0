"""The one place that touches the inside of Serve's replicas and handles (Ray 2.60); the fast path stands on it."""

from typing import Any

from ray.serve.handle import DeploymentHandle

from services.ingress.http import RankApp


class ReplicaTarget:
    """A replica's application and its in-flight counter."""

    def __init__(self, replica: Any) -> None:
        """Find the counter.

        Raises:
            AttributeError, ImportError, TypeError: this Ray's replica is another than 2.60's.
        """
        from ray.serve._private.common import RequestMetadata, RequestProtocol

        manager = replica._metrics_manager
        self.app: RankApp = replica._user_callable_asgi_app
        self._metadata = RequestMetadata(
            request_id="",
            internal_request_id="",
            route="/",
            app_name=replica._deployment_id.app_name,
            is_streaming=True,
            _request_protocol=RequestProtocol.HTTP,
            is_direct_ingress=True,
        )
        self._increment = manager.inc_num_ongoing_requests
        self._decrement = manager.dec_num_ongoing_requests
        self._ongoing = manager.get_num_ongoing_requests
        self._replica = replica
        self._ongoing()
        _ = self._limit

    @property
    def _limit(self) -> int:
        limit: int = self._replica._deployment_config.max_ongoing_requests
        return limit

    def enter(self) -> bool:
        """Count a request in; False when the replica has as many as it may."""
        if self._ongoing() >= self._limit:
            return False
        self._increment(self._metadata)
        return True

    def leave(self) -> None:
        """Count a request out."""
        self._decrement(self._metadata)


def has_replicas(handle: "DeploymentHandle[Any]") -> bool:
    """Say whether a handle knows a replica to call; True while it has heard nothing yet, or cannot be asked."""
    try:
        if not handle.is_initialized:
            handle._init()  # type: ignore[no-untyped-call]
        router = handle._router._asyncio_router  # type: ignore[union-attr]
        known = router.request_router
        return known is None or bool(known.curr_replicas)
    except AttributeError:
        return True
