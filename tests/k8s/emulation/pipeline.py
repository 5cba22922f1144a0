"""The emulated pipeline: the ingress runs on a CPU group, the ranker on another CPU group and a GPU group."""

from pathlib import Path
from typing import Any

from cli.k8s.names import HOME_PATH
from cli.k8s.rayservice import in_pods, ray_service
from services.config.pipeline import PipelineConfig
from tests.k8s.emulation.manifest import Document
from tests.pipelines import SPLIT, make_pipeline, merged

IDLE_S = 5
POOLS: dict[str, Any] = {
    "pools": {
        "front": {
            "cpus": 1,
            "memory_gib": 1,
            "min_nodes": 2,
            "max_nodes": 3,
        },
        "cpu": {
            "cpus": 1,
            "memory_gib": 1,
            "min_nodes": 1,
            "max_nodes": 2,
        },
        "gpu": {
            "cpus": 1,
            "memory_gib": 1,
            "gpus": 1,
            "accelerator": "L4",
            "min_nodes": 1,
            "max_nodes": 2,
        },
    },
    "units": {
        "main": {"pools": {"front": {"cpus": 1, "replicas": 2}}, "max_calls_in_flight": 4},
        "scorer": {"pools": {"cpu": {"cpus": 1}, "gpu": {"cpus": 1, "gpus": 1}}},
    },
    "autoscaling": {
        "policy": {
            "kind": "target_ongoing",
            "target_ongoing_requests": 0.05,
            "look_back_period_s": 5,
            "upscale_delay_s": 0,
            "downscale_delay_s": 5,
        },
        "p99_ms": 100,
        "decision_interval_s": 1,
        "bounds": {
            "main": {"min_replicas": 2, "max_replicas": 2},
            "scorer@cpu": {"min_replicas": 1, "max_replicas": 1},
            "scorer@gpu": {"min_replicas": 1, "max_replicas": 2},
        },
    },
}


def emulated_pipeline(home: Path) -> Path:
    """Write a small pipeline with pools under ``home``, and return its YAML's path."""
    return make_pipeline(home, merged(SPLIT, POOLS))


def rendered(config: PipelineConfig, home: Path) -> Document:
    """Return the RayService that ``rankway k8s render`` writes, adapted to this machine.

    The data stay where the test wrote them. Idle nodes are removed after seconds.
    """
    service = ray_service(in_pods(config), home)
    service["spec"]["serveConfigV2"] = service["spec"]["serveConfigV2"].replace(HOME_PATH, str(home))
    cluster = service["spec"]["rayClusterConfig"]
    cluster["autoscalerOptions"]["idleTimeoutSeconds"] = IDLE_S
    for group in cluster["workerGroupSpecs"]:
        group["idleTimeoutSeconds"] = IDLE_S
    return service
