"""Ray's private names: every name that we use exists, and only one package uses them."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

ROOT = Path(__file__).resolve().parents[2]
INTERNALS = ROOT / "services" / "ray_internals"
PACKAGES = ("autoscale", "benchmarks", "cli", "services", "walks")
ALLOWED = {"_asdict", "_replace", "_exit"}
"""Names in named tuples, whose underscore separates methods from fields, and in the module os."""

REPLICA = "ray.serve._private.replica:Replica"
COUNTER = "ray.serve._private.replica:ReplicaMetricsManager"
CLIENT = "ray.serve._private.client:ServeControllerClient"
GCS = "ray._raylet:InnerGcsClient"  # GcsClient passes its calls on to this class
CANARIES = (
    # The fast path.
    f"{REPLICA}._user_callable_asgi_app",
    f"{REPLICA}._metrics_manager",
    f"{REPLICA}._deployment_id",
    f"{REPLICA}._deployment_config",
    f"{COUNTER}.inc_num_ongoing_requests",
    f"{COUNTER}.dec_num_ongoing_requests",
    f"{COUNTER}.get_num_ongoing_requests",
    "ray.serve._private.http_util:RequestIdMiddleware._app",
    "ray.serve._private.common:RequestProtocol.HTTP",
    *(
        f"ray.serve._private.common:RequestMetadata({name}=)"
        for name in ("request_id", "internal_request_id", "route", "app_name", "is_streaming")
    ),
    "ray.serve._private.common:RequestMetadata(_request_protocol=)",
    "ray.serve._private.common:RequestMetadata(is_direct_ingress=)",
    # Handles.
    "ray.serve.handle:DeploymentHandle._init",
    "ray.serve.handle:DeploymentHandle.is_initialized",
    "ray.serve.handle:_DeploymentHandleBase._router",
    "ray.serve._private.router:SingletonThreadRouter._asyncio_router",
    "ray.serve._private.router:CurrentLoopRouter._asyncio_router",
    "ray.serve._private.router:AsyncioRouter.request_router",
    "ray.serve._private.request_router.request_router:RequestRouter.curr_replicas",
    # The choice of a replica.
    *(
        f"ray.serve._private.request_router.pow_2_router:PowerOfTwoChoicesRequestRouter.{name}"
        for name in (
            "initialize_state",
            "on_send_request",
            "on_request_completed",
            "on_new_queue_len_info",
            "decrement_queue_len_cache",
            "curr_replicas",
        )
    ),
    # Serve's client.
    "ray.serve.context:_get_global_client",
    f"{CLIENT}.deploy_apps",
    f"{CLIENT}.get_serve_details",
    "ray.serve._private.common:DeploymentID.to_replica_actor_class_name",
    "ray.serve._private.common:REPLICA_ID_FULL_ID_STR_PREFIX",
    # Clusters.
    "ray:init(_node_ip_address=)",
    "ray:init(_metrics_export_port=)",
    "ray._private.authentication.authentication_token_setup:maybe_enable_token_auth_if_token_available",
    "ray.experimental.internal_kv:_internal_kv_get",
    "ray.experimental.internal_kv:_internal_kv_put",
    "ray._private.label_utils:validate_node_labels",
    "ray._private.label_utils:validate_node_label_syntax",
    "ray._private.services:canonicalize_bootstrap_address_or_die",
    "ray._private.services:get_node_ip_address",
    "ray._private.services:resolve_ip_for_localhost",
    "ray._raylet:GcsClient",
    f"{GCS}.drain_node",
    f"{GCS}.get_all_node_info",
    f"{GCS}.async_get_all_actor_info",
    "ray.core.generated.gcs_pb2:GcsNodeInfo.GcsNodeState",
    "ray.core.generated.autoscaler_pb2:DrainNodeReason",
)


def has(canary: str) -> bool:
    """Return whether Ray has ``module:name``, ``module:class.attribute`` or ``module:function(parameter=)``."""
    module, _, path = canary.partition(":")
    try:
        holder: Any = importlib.import_module(module)
    except ImportError:
        return False
    if path.endswith("=)"):
        function, _, parameter = path[:-2].partition("(")
        called = inspect.unwrap(getattr(holder, function, None) or has)
        names = inspect.signature(called).parameters
        return parameter in names or parameter in getattr(called, "__code__", has.__code__).co_consts
    owner, _, attribute = path.partition(".")
    holder = getattr(holder, owner, None)
    return holder is not None and (not attribute or hasattr(holder, attribute) or sets(holder, attribute))


def sets(owner: type, attribute: str) -> bool:
    """Return whether a method of the class assigns the attribute."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    return any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == attribute
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("canary", CANARIES)
def test_installed_ray_has_the_private_name(canary: str) -> None:
    assert has(canary), (
        f"Ray {ray.__version__} has no {canary}: adapt services/ray_internals before Ray is upgraded"
    )


@pytest.mark.parametrize(
    "canary",
    [
        "ray._no_module:name",
        "ray:_no_name",
        "ray:init(_no_parameter=)",
        "ray:_no_function(x=)",
        f"{REPLICA}._no_attribute",
    ],
)
def test_detects_a_name_that_ray_lacks(canary: str) -> None:
    assert not has(canary)


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of all private names that the module does not define itself.

    These are imports from Ray, attributes of anything but ``self`` and ``cls``, and keyword arguments.
    """
    tree = ast.parse(source)
    known = ALLOWED | {
        node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names if is_private(alias.name))
            case ast.ImportFrom(module=str() as module, names=names):
                paths = [f"{module}.{alias.name}" for alias in names]
                yield from ((node.lineno, path) for path in paths if is_private(path))
            case ast.Attribute(value=value, attr=attr) if attr not in known and is_private(attr):
                if not (isinstance(value, ast.Name) and value.id in ("self", "cls")):
                    yield node.lineno, attr
            case ast.keyword(arg=str() as name) if is_private(name):
                yield node.value.lineno, name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str() as name), *_]
            ) if is_private(name):
                yield node.lineno, name


def is_private(path: str) -> bool:
    first, *names = path.split(".")
    if names:
        return first == "ray" and (path.startswith("ray.core.generated") or any(map(is_private, names)))
    return first.startswith("_") and not first.startswith("__")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import ray._raylet", ["ray._raylet"]),
        ("from ray.serve.context import _get_global_client", ["ray.serve.context._get_global_client"]),
        ("from ray.core.generated import gcs_pb2", ["ray.core.generated.gcs_pb2"]),
        ("ray.init(_node_ip_address='::1')", ["_node_ip_address"]),
        ("getattr(app, '_app', None)", ["_app"]),
        ("handle._router", ["_router"]),
        ("from ray import serve; serve.start(); self._router.close()", []),
        ("class Own:\n    def _part(self): return Own()._part()", []),
    ],
)
def test_finds_private_names_of_other_packages(source: str, names: list[str]) -> None:
    assert [name for _, name in private_names(source)] == names


def test_only_one_package_uses_private_names_of_ray() -> None:
    strays = [
        f"{source.relative_to(ROOT)}:{line} {name}"
        for package in PACKAGES
        for source in sorted((ROOT / package).rglob("*.py"))
        if INTERNALS not in source.parents
        for line, name in private_names(source.read_text(encoding="utf-8"))
    ]
    assert strays == [], "move these into services/ray_internals"


def test_every_private_name_in_that_package_is_checked_for_existence() -> None:
    known = "\n".join(CANARIES)
    used = {name for source in INTERNALS.glob("*.py") for _, name in private_names(source.read_text())}
    assert len(used) > 15
    assert [name for name in sorted(used) if name.rpartition(".")[2] not in known] == []
