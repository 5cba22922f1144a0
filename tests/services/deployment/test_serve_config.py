"""A pipeline's Serve config, checked against Serve's own schema."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ray.serve.schema import ServeDeploySchema

from services.app import PipelineArgs
from services.config.loading import load_config
from services.deployment.serve_config import refuse_unknown_fields, serve_config
from services.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_has_a_valid_serve_config(path: Path) -> None:
    document = serve_config(load_config(path), Path("/home"))
    schema = ServeDeploySchema.model_validate(document)
    arguments = PipelineArgs.model_validate(schema.applications[0].args)
    assert arguments.config == load_config(path)
    assert schema.http_options.host == "127.0.0.1"


AUTOSCALED = {"min_replicas": 1, "max_replicas": 2, "metrics_interval_s": 1.0}


def document_with(*, application: dict[str, Any] | None = None, **deployment: Any) -> dict[str, Any]:
    return {
        "applications": [
            {"name": "first", "import_path": "a:b"},
            {"name": "second", "import_path": "a:b", "route_prefix": "/second"}
            | (application or {})
            | {"deployments": [{"name": "main"}, {"name": "scorer", **deployment}]},
        ]
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"proxy_locaton": "HeadOnly"}, "proxy_locaton"),
        ({"http_options": {"hots": "::1"}}, "http_options.hots"),
        (document_with(application={"imprt_path": "b:c"}), "applications.1.imprt_path"),
        (document_with(num_replcas=1), "applications.1.deployments.1.num_replcas"),
        (
            document_with(ray_actor_options={"nm_cpus": 1}),
            "applications.1.deployments.1.ray_actor_options.nm_cpus",
        ),
        (
            document_with(autoscaling_config={**AUTOSCALED, "mx_replicas": 9}),
            "applications.1.deployments.1.autoscaling_config.mx_replicas",
        ),
        (
            document_with(autoscaling_config={**AUTOSCALED, "policy": {"policy_callable": "a:b"}}),
            "applications.1.deployments.1.autoscaling_config.policy.policy_callable",
        ),
        (
            document_with(deployment_actors=[{"name": "a"}, {"nme": "b"}]),
            "applications.1.deployments.1.deployment_actors.1.nme",
        ),
        (
            document_with(request_router_config={"backoff": 1}),
            "applications.1.deployments.1.request_router_config.backoff",
        ),
        (
            document_with(gang_scheduling_config={"gang_size": 2, "gng_size": 2}),
            "applications.1.deployments.1.gang_scheduling_config.gng_size",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_field_that_serve_would_ignore(change: dict[str, Any], field: str) -> None:
    document = document_with(autoscaling_config=dict(AUTOSCALED)) | change
    before = copy.deepcopy(document)
    with pytest.raises(ConfigError, match="has no such field") as refused:
        refuse_unknown_fields(document)
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")
    assert document == before


def test_accepts_valid_document() -> None:
    refuse_unknown_fields(document_with(autoscaling_config=dict(AUTOSCALED)))
