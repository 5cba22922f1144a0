"""Pod templates: the parts that head and workers share, and the hook that drains a pod."""

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
"""Seconds for which a replica and HAProxy still answer after a stop command: remote load balancers react late."""
FORGOTTEN_S = DRAIN_S + 10
"""Seconds that a deleted pod runs on unchanged. It has left the Service's endpoints, but not every client knows."""
_WARMING_S = 60
"""Seconds that a replica takes to load and warm on an existing node."""
_ENDING_S = 20
"""Seconds that Ray's own processes take to end."""

_USER, _GROUP = 1000, 100  # user and group id in the image


def pod_template(
    config: PipelineConfig,
    role: str,
    labels: dict[str, str],
    resources: dict[str, Any],
    *,
    pool: PoolConfig | None = None,
) -> dict[str, Any]:
    """Return metadata and spec for a group's pods.

    Args:
        config: the pipeline's configuration in its pods (``in_pods``).
        role: ``head`` or ``worker``.
        labels: labels in addition to the role's labels.
        resources: the Ray container's resources.
        pool: a worker's pool. None for the head.
    """
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
            # The head's autoscaler requests pods from Kubernetes. Workers do not talk to Kubernetes.
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
    """Return the command that a pod runs before it stops, and its grace period in seconds.

    A pod first runs unchanged for ``FORGOTTEN_S``, until clients send it no more requests. Then its replicas move to
    other nodes, or to a new node if necessary. On spot nodes there is not enough time for two steps, so both happen
    together.

    Args:
        pool: a worker's pool. None for the head, which has no replicas.
    """
    if pool is None:
        return ["sleep", str(FORGOTTEN_S)], FORGOTTEN_S + _ENDING_S
    drain = "python -m services.deployment.drain --limit-s"
    if pool.spot is not None:
        limit_s = max(1, int(pool.spot.notice_s))
        command = f"{drain} {limit_s} & sleep {FORGOTTEN_S}; wait"
        return ["bash", "-c", command], max(limit_s, FORGOTTEN_S) + _ENDING_S
    limit_s = int(pool.provisioning_s) + _WARMING_S + DRAIN_S
    command = f"sleep {FORGOTTEN_S}; exec {drain} {limit_s}"
    return ["bash", "-c", command], FORGOTTEN_S + limit_s + _ENDING_S


def pod_labels(config: PipelineConfig, role: str) -> dict[str, str]:
    """Return the labels that select the pipeline's pods with this role."""
    return {PIPELINE_LABEL: config.name, ROLE_LABEL: role}


def container_security() -> dict[str, Any]:
    """Return the security context for every container: no escalation and no capabilities."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def writes_home(config: PipelineConfig) -> bool:
    """Return whether replicas write below the data home: a served log or recorded traffic whose path is not a URL."""
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
