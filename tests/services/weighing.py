"""A pipeline whose ranker is in two pools, and weights in Ray's store. test_routing.py runs it as a separate process.

    python -m tests.services.weighing HOME PORT
It prints a JSON document of the candidates that arrived in each pool, for each set of weights.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from ray import serve

from services.autoscaling.kv_store import KvStore, post_weights
from services.config.loading import load_config
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from tests.pipelines import make_pipeline, merged
from tests.services.redeploying import with_changes
from tests.services.servers import ask, rank_request

CALLS, CANDIDATES = 60, 10
_LIMIT_S = 30.0


def main(home: Path, port: int, changes: dict[str, Any]) -> None:
    """Serve the pipeline and send requests under one set of weights after the other."""
    config = with_changes(load_config(make_pipeline(home, changes)), {"http": {"port": port}})
    report = {}
    with local_cluster(config):
        deploy(config, home, lambda _status: None)
        report["from the YAML"] = arrived(port)
        post_weights(KvStore(config.name), "scorer", {"one": 0.0, "two": 1.0})
        end_s = time.monotonic() + _LIMIT_S
        while arrived(port)["one"] and time.monotonic() < end_s:
            pass  # until every ingress replica has checked the store
        report["from the store"] = arrived(port)
    print(json.dumps(report))


def arrived(port: int) -> dict[str, float]:
    """Send some requests. Return the candidates that arrived in each pool meanwhile."""
    before = counted()
    items = [f"item-{index:04d}" for index in range(CANDIDATES)]
    for call in range(CALLS):
        body = {"user_id": f"u{call % 16}", "candidates": items, "deadline_ms": 20_000}
        assert ask(port, rank_request(body)).status == 200
    after = counted()
    return {pool: after[pool] - before[pool] for pool in after}


def counted() -> dict[str, float]:
    """Return the candidates that have arrived in each pool so far."""
    counts = {}
    for pool in ("one", "two"):
        handle = serve.get_deployment_handle(f"scorer@{pool}", "small")
        replies = handle.broadcast("record_autoscaling_stats").results(timeout_s=30)
        counts[pool] = sum(each["arrived_candidates"] for each in replies)
    return counts


SCALED: dict[str, Any] = {
    "autoscaling": {"policy": {"kind": "target_ongoing"}, "p99_ms": 100, "decision_interval_s": 300},
    "units": {
        "scorer": {"pools": {"one": {"weight": 3, "replicas": 1}, "two": {"weight": 1, "replicas": 1}}}
    },
}

if __name__ == "__main__":
    from tests.services.scenarios.test_routing import TWO_POOLS

    main(Path(sys.argv[1]), int(sys.argv[2]), merged(TWO_POOLS, SCALED))
