"""Pod templates: what head and workers have in common, and how a pod leaves."""

from typing import Any

import ray

from autoscale.pools import PoolConfig
from cli.k8s.names import (
    DASHBOARD_PORT,
    GCS_PORT,
    HAPROXY_METRICS_PORT,
    HEAD,
    HOME_CLAIM,
    HOME_PATH,
    IMAGES,
    METRICS_PORT,
    PASSWORD_KEY,
    PIPELINE_LABEL,
    PRIORITY_CLASSES,
    ROLE_LABEL,
    SERVE_PORT,
    SERVICE_ACCOUNTS,
    STORE_SECRET,
    WORKER,
)
from services.config.pipeline import PipelineConfig
from services.deployment.ray_settings import throughput_settings
from services.stores.kinds.redis import RedisConfig

DRAIN_S = 30
"""How long a replica and HAProxy still answer once they are to go: load balancers elsewhere hear of it late."""
FORGOTTEN_S = DRAIN_S + 10
"""How long a pod that was deleted goes on as it was: it is out of the Service's endpoints, and not everyone knows."""
_WARMING_S = 60
"""What a replica takes to load and warm, on a node that is there."""
_ENDING_S = 20
"""What Ray's own processes take to end."""

_USER, _GROUP = 1000, 100  # of the image


def pod_template(
    config: PipelineConfig,
    role: str,
    labels: dict[str, str],
    resources: dict[str, Any],
    *,
    pool: PoolConfig | None = None,
) -> dict[str, Any]:
    """Give metadata and spec of a group's pods; ``resources`` are the Ray container's. pool: None for the head."""
    command, grace_s = drain_hook(pool)
    on_gpus = pool is not None and pool.gpus > 0
    container = {
        "name": f"ray-{role}",
        "image": f"{IMAGES[on_gpus]}:{ray.__version__}",
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(config),
        "ports": _ports(role),
        "resources": resources,
        "securityContext": container_security(),
        "lifecycle": {"preStop": {"exec": {"command": command}}},
        "volumeMounts": [
            {"name": "home", "mountPath": HOME_PATH, "readOnly": role == WORKER and not writes_home(config)},
        ],
    }
    return {
        "metadata": {"labels": {"app.kubernetes.io/name": "rankway", **pod_labels(config, role), **labels}},
        "spec": {
            "serviceAccountName": SERVICE_ACCOUNTS[role],
            # The head's autoscaler asks for pods; nothing on a worker speaks to Kubernetes.
            "automountServiceAccountToken": role == HEAD,
            "priorityClassName": PRIORITY_CLASSES[role],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": grace_s,
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _GROUP,
                "fsGroup": _GROUP,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": HOME_CLAIM}}],
        },
    }


def drain_hook(pool: PoolConfig | None) -> tuple[list[str], int]:
    """Give what a pod does before it stops, and the seconds that Kubernetes gives it; None: the head, without replicas.

    First it is forgotten as it was, then its replicas move, to a new node if need be. Nodes that the provider takes
    back leave no time for one after the other.
    """
    if pool is None:
        return ["sleep", str(FORGOTTEN_S)], FORGOTTEN_S + _ENDING_S
    leave = "python -m services.deployment.drain --limit-s"
    if pool.spot is not None:
        limit_s = max(1, int(pool.spot.notice_s))
        command = f"{leave} {limit_s} & sleep {FORGOTTEN_S}; wait"
        return ["bash", "-c", command], max(limit_s, FORGOTTEN_S) + _ENDING_S
    limit_s = int(pool.provisioning_s) + _WARMING_S + DRAIN_S
    command = f"sleep {FORGOTTEN_S}; exec {leave} {limit_s}"
    return ["bash", "-c", command], FORGOTTEN_S + limit_s + _ENDING_S


def pod_labels(config: PipelineConfig, role: str) -> dict[str, str]:
    """Give the labels that select the pipeline's pods of a role."""
    return {PIPELINE_LABEL: config.name, ROLE_LABEL: role}


def container_security() -> dict[str, Any]:
    """Give what every container is denied."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def writes_home(config: PipelineConfig) -> bool:
    """Whether replicas write below the home: a served log or recorded traffic that is no URL."""
    return any(part is not None and "://" not in part.path for part in (config.log, config.record))


def _environment(config: PipelineConfig) -> list[dict[str, Any]]:
    settings = {
        "RANKWAY_HOME": HOME_PATH,
        **throughput_settings(),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAIN_S),
    }
    environment: list[dict[str, Any]] = [{"name": name, "value": settings[name]} for name in sorted(settings)]
    store = config.features.store
    if isinstance(store, RedisConfig) and store.password_env is not None:
        secret = {"name": STORE_SECRET, "key": PASSWORD_KEY}
        environment.append({"name": store.password_env, "valueFrom": {"secretKeyRef": secret}})
    return environment


def _ports(role: str) -> list[dict[str, Any]]:
    ports = {"serve": SERVE_PORT, "metrics": METRICS_PORT, "haproxy-metrics": HAPROXY_METRICS_PORT}
    if role == HEAD:
        ports |= {"gcs-server": GCS_PORT, "dashboard": DASHBOARD_PORT}
    return [{"name": name, "containerPort": number} for name, number in ports.items()]
