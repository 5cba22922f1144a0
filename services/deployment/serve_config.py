"""A pipeline's Serve config, checked against Serve's schema."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from ray.serve.schema import ServeDeploySchema

from services.app import IMPORT_PATH
from services.autoscaling.serve_policy import APPLICATION_POLICY, policy_arguments
from services.autoscaling.spec import needed_profiles
from services.config.pipeline import PipelineConfig
from services.config.placement import RouterConfig, all_placements, placements
from services.errors import ConfigError


def serve_config(
    config: PipelineConfig, home: Path, *, served_home: Path | None = None, proxy_location: str = "HeadOnly"
) -> dict[str, Any]:
    """Return the pipeline's multi-application Serve config.

    Args:
        config: the pipeline.
        home: the folder with the profiles.
        served_home: the folder with the pipeline's data in the cluster. The default is ``home``.
        proxy_location: Serve's setting for the nodes that run a proxy. By default, only the head does.

    Raises:
        ConfigError: as for ``refuse_unknown_fields``.
        AutoscaleError: the policy needs a profile that is missing or invalid.
    """
    served_path = str(home if served_home is None else served_home)
    application: dict[str, Any] = {
        "name": config.name,
        "route_prefix": "/",
        "import_path": IMPORT_PATH,
        "args": {"config": config.model_dump(mode="json"), "home": served_path},
    }
    if config.autoscaling is not None:
        arguments = policy_arguments(config, needed_profiles(config, home)) | {"home": served_path}
        application["args"]["policy_beside"] = True
        application["autoscaling_policy"] = {
            "policy_function": APPLICATION_POLICY,
            "policy_kwargs": arguments,
        }
    ranker = placements(config, config.ranker_unit)
    if len(ranker) > 1:
        # The weights are outside the arguments, so that Serve applies changed weights without a restart.
        ingress, weights = (
            all_placements(config)[0].deployment,
            RouterConfig.from_placements(ranker).model_dump(),
        )
        application["deployments"] = [{"name": ingress, "user_config": weights}]
    document = {
        "proxy_location": proxy_location,
        "http_options": {"host": config.http.host, "port": config.http.port},
        "logging_config": {"enable_access_log": False},
        "applications": [application],
    }
    refuse_unknown_fields(document)
    return document


def refuse_unknown_fields(document: Mapping[str, Any]) -> None:
    """Check a Serve config for fields that Serve does not know. Serve silently ignores them.

    Pydantic's ``extra="forbid"`` is not enough. It does not check fields that may also be a mapping, such as
    ``autoscaling_config``, nor models with their own ``__init__``, such as ``AutoscalingPolicy``.

    Raises:
        ConfigError: Serve does not know a field.
    """
    unknown = list(_unknown_fields(document, ServeDeploySchema, ""))
    if unknown:
        lines = [
            f"{field}: Serve's {model} has no such field; remove it or correct its name"
            for field, model in unknown
        ]
        raise ConfigError("\n".join(lines), field=unknown[0][0])


def _unknown_fields(value: Any, annotation: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each unknown field's path, and the name of the model that lacks it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, annotation, f"{path}{index}.")
        return
    model = _model_in(annotation)
    if model is None or not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        if name in model.model_fields:
            yield from _unknown_fields(inner, model.model_fields[name].annotation, f"{path}{name}.")
        else:
            yield f"{path}{name}", model.__name__


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = map(_model_in, get_args(annotation))
    return next((model for model in models if model is not None), None)
