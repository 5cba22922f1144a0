"""The Serve config of a pipeline, validated closed."""

from pathlib import Path
from typing import Any

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
    """Give the multi-application Serve config of the pipeline.

    home: where profiles are read. served_home: where the cluster finds the pipeline's data; ``home`` where not given.
    proxy_location: Serve's; on one machine its only node has the proxy.

    Raises:
        ConfigError: a field that Serve's schema does not know; Serve itself would drop it silently.
        AutoscaleError: the policy looks at profiles, and one is missing or unfit.
    """
    found_at = str(home if served_home is None else served_home)
    application: dict[str, Any] = {
        "name": config.name,
        "route_prefix": "/",
        "import_path": IMPORT_PATH,
        "args": {"config": config.model_dump(mode="json"), "home": found_at},
    }
    if config.autoscaling is not None:
        arguments = policy_arguments(config, needed_profiles(config, home)) | {"home": found_at}
        application["args"]["policy_beside"] = True
        application["autoscaling_policy"] = {
            "policy_function": APPLICATION_POLICY,
            "policy_kwargs": arguments,
        }
    ranker = placements(config, config.unit_of("ranker"))
    if len(ranker) > 1:
        # Beside the arguments, so that a document with other weights alone is taken up without a restart.
        ingress, weights = all_placements(config)[0].deployment, RouterConfig.of(ranker).model_dump()
        application["deployments"] = [{"name": ingress, "user_config": weights}]
    document = {
        "proxy_location": proxy_location,
        "http_options": {"host": config.http.host, "port": config.http.port},
        "logging_config": {"enable_access_log": False},
        "applications": [application],
    }
    refuse_unknown_fields(document, ServeDeploySchema)
    return document


def refuse_unknown_fields(document: Any, schema: Any, where: str = "") -> None:
    """Hold a document against a pydantic model and its nested models, closed.

    Raises:
        ConfigError: a field the model does not declare.
    """
    model = _model_in(schema)
    if model is None:
        return
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            continue
        for name, value in item.items():
            if name not in model.model_fields:
                raise ConfigError(
                    f"Serve's {model.__name__} has no field {where}{name}: remove it", field=name
                )
            refuse_unknown_fields(value, model.model_fields[name].annotation, f"{where}{name}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
