"""The Serve config of a pipeline, held against Serve's own schema."""

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
def test_every_config_lowers_to_a_serve_config(path: Path) -> None:
    document = serve_config(load_config(path), Path("/home"))
    schema = ServeDeploySchema.model_validate(document)
    arguments = PipelineArgs.model_validate(schema.applications[0].args)
    assert arguments.config == load_config(path)
    assert schema.http_options.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"proxy_locaton": "HeadOnly"}, "proxy_locaton"),
        ({"http_options": {"hots": "::1"}}, "http_options.hots"),
        ({"applications": [{"name": "a", "imprt_path": "b:c"}]}, "applications.imprt_path"),
        ({"applications": [{"deployments": [{"num_replcas": 1}]}]}, "applications.deployments.num_replcas"),
    ],
)
def test_a_field_that_serve_would_drop_silently_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        refuse_unknown_fields(change, ServeDeploySchema)
