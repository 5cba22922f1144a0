"""A pipeline's RayService, and the pipeline's configuration in its pods."""

import json
from pathlib import Path
from typing import Any

import ray
import yaml

from cli.k8s.groups import IDLE_S, head_group, used_pools, worker_group
from cli.k8s.names import (
    GCS_REDIS,
    GCS_SECRET,
    HOME_PATH,
    PASSWORD_KEY,
    PIPELINE_LABEL,
    POOL_LABEL,
    SERVE_PORT,
)
from cli.k8s.pods import container_security
from services.app import PipelineArgs, deployment_options
from services.config.pipeline import PipelineConfig
from services.config.placement import all_placements
from services.deployment.serve_config import refuse_unknown_fields, serve_config

_DELETION_DELAY_S = 600
"""Seconds that a replaced cluster is kept: its requests end, and a rollback to it is possible."""
_AUTOSCALER_RESOURCES = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


def in_pods(config: PipelineConfig) -> PipelineConfig:
    """Return the pipeline's configuration in its pods.

    The endpoint binds all addresses. Each pool's nodes have the label ``POOL_LABEL``. The YAML's ``http`` is meant for
    a single machine. In pods, the endpoint's port is the port that network policies and routes name.
    """
    pools = {
        name: pool.model_copy(update={"labels": {**pool.labels, POOL_LABEL: name}})
        for name, pool in config.pools.items()
    }
    http = config.http.model_copy(update={"host": "0.0.0.0", "port": SERVE_PORT})
    return config.model_copy(update={"pools": pools, "http": http, "training": None})


def serve_document(config: PipelineConfig, home: Path) -> dict[str, Any]:
    """Return the Serve config that the operator passes to the cluster, with every deployment's options.

    Args:
        config: the pipeline's configuration in its pods (``in_pods``).
        home: the folder with the profiles.

    Raises:
        ConfigError: the config has a field that Serve's schema lacks.
        AutoscaleError: a profile is missing or invalid.
    """
    document = serve_config(config, home, served_home=Path(HOME_PATH), proxy_location="EveryNode")
    application = document["applications"][0]
    args = PipelineArgs(config=config, home=HOME_PATH, policy_beside=config.autoscaling is not None)
    own_options = {each["name"]: each for each in application.get("deployments", ())}
    application["deployments"] = [
        _plain(deployment_options(placement, args)) | own_options.get(placement.deployment, {})
        for placement in all_placements(config)
    ]
    refuse_unknown_fields(document)
    return document


def ray_service(config: PipelineConfig, home: Path) -> dict[str, Any]:
    """Return a pipeline's RayService. The arguments are as for ``serve_document``.

    Raises:
        ConfigError, AutoscaleError: as for ``serve_document``.
    """
    document = yaml.safe_dump(serve_document(config, home), sort_keys=False, width=120)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": config.name,
            "labels": {"app.kubernetes.io/name": "rankway", PIPELINE_LABEL: config.name},
        },
        "spec": {
            "upgradeStrategy": {"type": "NewCluster"},
            "rayClusterDeletionDelaySeconds": _DELETION_DELAY_S,
            "excludeHeadPodFromServeSvc": True,
            "serveConfigV2": document,
            "rayClusterConfig": {
                "rayVersion": ray.__version__,
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {
                    "version": "v2",
                    "idleTimeoutSeconds": IDLE_S,
                    "resources": _AUTOSCALER_RESOURCES,
                    "securityContext": container_security(),
                },
                "gcsFaultToleranceOptions": {
                    "redisAddress": GCS_REDIS,
                    "redisPassword": {
                        "valueFrom": {"secretKeyRef": {"name": GCS_SECRET, "key": PASSWORD_KEY}}
                    },
                },
                "headGroupSpec": head_group(config),
                "workerGroupSpecs": [worker_group(config, pool) for pool in used_pools(config)],
            },
        },
    }


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as JSON, without the policy. The application has one policy for all its deployments."""
    plain = dict(options)
    if "autoscaling_config" in plain:
        plain["autoscaling_config"] = plain["autoscaling_config"].model_dump(
            mode="json", exclude={"policy"}, exclude_none=True
        )
    document: dict[str, Any] = json.loads(json.dumps(plain))
    return document
