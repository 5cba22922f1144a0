"""Pod templates: what head and workers have in common, and how a pod leaves."""

from typing import Any

import ray

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
    SERVICE_ACCOUNTS,
    STORE_SECRET,
    WORKER,
)
from services.config import PipelineConfig
from services.settings import throughput_settings
from services.stores.base import RedisConfig

DRAIN_S = 30
"""How long a replica and HAProxy still answer once they are to go: load balancers elsewhere hear of it late."""
LEAVE_S = DRAIN_S + 10
"""How long a pod that was deleted goes on as it was: it is out of the Service's endpoints, and then drains."""
GRACE_S = LEAVE_S + 20

_USER, _GROUP = 1000, 100  # of the image


def pod_template(
    config: PipelineConfig,
    role: str,
    labels: dict[str, str],
    resources: dict[str, Any],
    *,
    on_gpus: bool = False,
) -> dict[str, Any]:
    """Give metadata and spec of a group's pods; ``resources`` are the Ray container's."""
    container = {
        "name": f"ray-{role}",
        "image": f"{IMAGES[on_gpus]}:{ray.__version__}",
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(config),
        "ports": _ports(config, role),
        "resources": resources,
        "securityContext": container_security(),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_S)]}}},
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
            "terminationGracePeriodSeconds": GRACE_S,
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


def _ports(config: PipelineConfig, role: str) -> list[dict[str, Any]]:
    ports = {"serve": config.http.port, "metrics": METRICS_PORT, "haproxy-metrics": HAPROXY_METRICS_PORT}
    if role == HEAD:
        ports |= {"gcs-server": GCS_PORT, "dashboard": DASHBOARD_PORT}
    return [{"name": name, "containerPort": number} for name, number in ports.items()]
