"""Load that rises above a CPU pool's limit and falls again, on a real Ray with invented GPUs.

    python -m tests.services.spilling HOME PORT GPUS
It prints a JSON document: a ``Report``.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from services.config.loading import load_config
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from tests.services.processes import load
from tests.services.redeploying import with_changes
from tests.services.spilling.pipeline import CANDIDATES, CPU_MOST, make_spilling
from tests.services.spilling.watcher import Report, watched

CALM, CALM_PAUSE_S = 2, 0.1
GROUP, GROUP_PAUSE_S = 16, 0.2
CROWD, CROWD_PAUSE_S = 60, 0.25
"""Clients, and the pause of each one before its next request. A replica on a CPU serves 50 requests/s at most."""
LIMIT_S = 45.0


def main(home: Path, port: int, gpus: int) -> Report:
    """Serve, and let the load rise, stay until the GPUs answer, and fall until none is left."""
    os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"GPU": gpus})
    config = with_changes(load_config(make_spilling(home)), {"http": {"port": port}})
    with local_cluster(config):
        deploy(config, home, lambda _status: None)
        with watched(config) as watcher, load(port, CALM, CALM_PAUSE_S, CANDIDATES) as calm:
            calm.wait_for(30)
            watcher.mark("rise")
            with load(port, GROUP, GROUP_PAUSE_S, CANDIDATES) as group:
                watcher.wait_for(lambda now: now.ready["cpu"] == CPU_MOST, LIMIT_S)
                watcher.mark("peak")
                with load(port, CROWD, CROWD_PAUSE_S, CANDIDATES) as crowd:
                    watcher.wait_for(lambda now: now.ready["gpu"] > 0, LIMIT_S)
                    watcher.wait_for(lambda now: now.weights.get("gpu", 0) > 0.5, LIMIT_S)
                    crowd.wait_for(500)
            watcher.mark("fall")
            watcher.wait_for(lambda now: now.alive["gpu"] == 0 and now.free_gpus == now.gpus, LIMIT_S)
            calm.wait_for(60)
            watcher.mark("end")
        return watcher.report([calm, group, crowd])


if __name__ == "__main__":
    print(json.dumps(asdict(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
