"""PodDisruptionBudgets: how many pods of a group must keep running during evictions.

``minAvailable`` is a whole number, because Kubernetes cannot find out how many pods a RayCluster wants. It is
at least one, so that a pool's last node is drained only after the pool was given another node.
"""

from typing import Any

from cli.k8s.groups import nodes_at_least, used_pools
from cli.k8s.names import HEAD, PIPELINE_LABEL, POOL_LABEL, WORKER
from cli.k8s.pods import pod_labels
from services.config.pipeline import PipelineConfig


def disruption_budgets(config: PipelineConfig) -> list[dict[str, Any]]:
    """Return one budget for the head, and one for each pool.

    A pool's budget keeps at least one node, and all of the pool's permanent nodes but one.
    """
    return [
        _budget(config, HEAD, 1, pod_labels(config, HEAD)),
        *(
            _budget(
                config,
                pool,
                max(1, nodes_at_least(config, pool) - 1),
                pod_labels(config, WORKER) | {POOL_LABEL: pool},
            )
            for pool in used_pools(config)
        ),
    ]


def _budget(config: PipelineConfig, group: str, available: int, selected: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": f"{config.name}-{group}",
            "labels": {"app.kubernetes.io/name": "rankway", PIPELINE_LABEL: config.name},
        },
        "spec": {"minAvailable": available, "selector": {"matchLabels": selected}},
    }
