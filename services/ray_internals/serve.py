"""Internals of Ray Serve: replicas and their HTTP wrappers, handles, and the controller client."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

App = TypeVar("App")
_MAX_LAYERS = 16


def find_replica(app: Any) -> Any | None:
    """Return the Serve replica behind its HTTP wrapper ``app``, or None if there is none."""
    for _ in range(_MAX_LAYERS):
        owner = getattr(app, "__self__", None)
        if owner is not None and hasattr(owner, "_user_callable_asgi_app"):
            return owner
        inner = getattr(app, "app", None) or getattr(app, "_app", None)  # the names in Starlette and in Serve
        if inner is None:
            return None
        app = inner
    return None


def served_application(replica: Any) -> Any:
    """Return the ASGI application in a replica from ``find_replica``."""
    return replica._user_callable_asgi_app


def use_protocol(protocol: "type[HttpToolsProtocol]") -> None:
    """Let the HTTP servers that this process starts later use ``protocol``.

    Serve starts uvicorn in a replica with ``http="auto"`` and has no option for it, so its choice is replaced.
    """
    from uvicorn.protocols.http import auto

    auto.AutoHTTPProtocol = protocol


class ReplicaTarget(Generic[App]):
    """A replica's application, and the counter for its requests in flight."""

    def __init__(self, replica: Any, app: App) -> None:
        """Find the counter.

        Raises:
            AttributeError, ImportError, TypeError: this Ray version's replica differs from Ray 2.60's.
        """
        from ray.serve._private.common import RequestMetadata, RequestProtocol

        manager = replica._metrics_manager
        self.app = app
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
        """Count a new request. Return False if the replica already has ``max_ongoing_requests``."""
        if self._ongoing() >= self._limit:
            return False
        self._increment(self._metadata)
        return True

    def leave(self) -> None:
        """Count a finished request."""
        self._decrement(self._metadata)


def has_replicas(handle: "DeploymentHandle[Any]") -> bool:
    """Return whether a handle knows a replica to call.

    The result is also True if the handle has not received its replica list yet, or cannot be inspected.
    """
    try:
        if not handle.is_initialized:
            handle._init()  # type: ignore[no-untyped-call]
        router = handle._router._asyncio_router  # type: ignore[union-attr]
        known = router.request_router
        return known is None or bool(known.curr_replicas)
    except AttributeError:
        return True


def deploy_document(document: Mapping[str, Any]) -> None:
    """Deploy a multi-application Serve config on the running cluster. Do not wait for its replicas."""
    from ray.serve.schema import ServeDeploySchema

    _serve_client().deploy_apps(ServeDeploySchema.model_validate(document))


def serve_details() -> dict[str, Any]:
    """Return the states of Serve's applications on the running cluster."""
    details: dict[str, Any] = _serve_client().get_serve_details()
    return details


def _serve_client() -> Any:
    from ray.serve.context import _get_global_client

    client = _get_global_client()
    assert client is not None, "Serve is not running; call this inside local_cluster"
    return client


def replica_process_name(application: str, deployment: str) -> str:
    """Return a text that each replica process has in its command line."""
    from ray.serve._private.common import DeploymentID

    deployment_id = DeploymentID(deployment, application)
    name: str = deployment_id.to_replica_actor_class_name()  # type: ignore[no-untyped-call]
    return name
