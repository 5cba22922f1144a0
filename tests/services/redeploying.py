"""A service that redeploys on request. test_survival.py runs it as a separate process.

    python -m tests.services.redeploying HOME PORT
Each line on standard input is a JSON document of changes to the small pipeline. The service deploys it, then prints
"deployed".
"""

import json
import sys
from pathlib import Path

from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from tests.pipelines import make_pipeline, merged

READY = "deployed"


def main(home: Path, port: int) -> None:
    """Serve until the input ends."""
    first = load_config(home / "pipeline.yaml") if (home / "pipeline.yaml").exists() else None
    config = with_changes(first or load_config(make_pipeline(home)), {"http": {"port": port}})
    # Reserve room for the largest change's replicas.
    with local_cluster(with_changes(config, {"units": {"main": {"replicas": 3}}})):
        deploy(config, home, lambda _status: None)
        say(READY)
        for line in sys.stdin:
            config = with_changes(config, json.loads(line))
            deploy(config, home, lambda _status: None)
            say(READY)


def with_changes(config: PipelineConfig, changes: dict[str, object]) -> PipelineConfig:
    """Return the configuration with nested changes."""
    return PipelineConfig.model_validate(merged(config.model_dump(mode="json"), changes))


def say(text: str) -> None:
    """Print a line that the test reads."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
