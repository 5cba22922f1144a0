"""How evenly an ingress spreads its calls over the replicas of a ranker: Rankway's choice against Ray Serve's own.

    python -m benchmarks.call_spread [--ingresses 1] [--rankers 2] [--clients 16] [--rounds 3] [--seconds 4] [--json]

The rankers mostly wait, so that they need few cores. Both sides run on the same Ray, alternating.
``services/ray_internals/fewest_calls.py`` gives the reason for the difference.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ray.serve import Application

from benchmarks.cases import dlrm
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import http_request
from benchmarks.harness.load import run_closed
from benchmarks.harness.quiet import say
from benchmarks.harness.servers import free_port
from models.artifact import Artifact
from models.signature import Inputs
from services import app
from services.config.loading import load_config, validated
from services.config.pipeline import PipelineConfig
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from services.deployment.serve_config import serve_config

SERVE, RANKWAY = "serve", "rankway"
_BUILDS = {SERVE: "benchmarks.call_spread:build_with_serves_choice", RANKWAY: app.IMPORT_PATH}
_CONFIG = Path(__file__).resolve().parents[1] / "configs" / "dlrm.yaml"
_CANDIDATES, _CANDIDATE_MS = 32, 0.5
_BODY = b'{"user_id": "u-000001", "k": 5, "deadline_ms": 20000}'


class WaitingRuntime:
    """The artifact's ONNX graph, which is small here, and a wait for each candidate."""

    def __init__(self, folder: Path, artifact: Artifact, *, threads: int) -> None:
        """Load the graph."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(folder / artifact.weights), options)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Inputs) -> Inputs:
        """Compute the scores and wait."""
        time.sleep(max(map(len, inputs.values())) * _CANDIDATE_MS / 1000)
        return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))


@dataclass(frozen=True, slots=True)
class Window:
    """One side's figures in one round. ``bad``: errors, and answers with another status than 200."""

    side: str
    rps: float
    p50_ms: float
    p99_ms: float
    bad: int


def build_with_serves_choice(args: app.PipelineArgs) -> Application:
    """Compose the pipeline's deployments with Serve's own choice of a replica. Serve imports this by name."""
    assert "_router_options" in vars(app)
    vars(app)["_router_options"] = lambda _placement, _args: {}
    return app.build(args)


def spread_config(ingresses: int, rankers: int, port: int) -> PipelineConfig:
    """Return the DLRM's pipeline with a waiting ranker in its own unit."""
    data: dict[str, Any] = load_config(_CONFIG).model_dump(mode="json")
    runtime = {"kind": "python", "target": "benchmarks.call_spread:WaitingRuntime"}
    data |= {"trust": ["benchmarks"], "fallback": None, "http": {"port": port}}
    data["requests"] |= {"max_deadline_ms": 20_000}
    data["models"]["ranker"] = {"artifact": data["models"]["ranker"]["artifact"], "runtime": runtime}
    batching = {"max_candidates": 2 * _CANDIDATES}
    data["units"] = {
        "main": {
            "stages": ["features"],
            "replicas": ingresses,
            "max_calls_in_flight": 64,
            "batching": batching,
        },
        "ranker": {"stages": ["ranker"], "replicas": rankers, "cpus": 0.2, "batching": batching},
    }
    return validated(data, "call_spread")


def measure(config: PipelineConfig, home: Path, clients: int, rounds: int, seconds: float) -> list[Window]:
    """Serve both sides in turn on one Ray, and load each of them."""
    windows = []
    with local_cluster(config):
        for number in range(rounds):
            for side, import_path in _BUILDS.items():
                # A changed argument makes Serve replace all replicas.
                arguments = config.model_dump(mode="json")
                arguments["candidates"]["max_count"] += 2 * number + (side == RANKWAY)
                changed = validated(arguments, "call_spread")
                document = serve_config(changed, home)
                document["applications"][0]["import_path"] = import_path
                deploy(changed, home, lambda _text: None, document)
                request = http_request("127.0.0.1", "/v1/rank", _BODY)
                loop = ClosedLoop([request], clients=clients, duration_s=seconds, warm_s=1.0)
                result = run_closed("127.0.0.1", config.http.port, loop)
                bad = result.errors + sum(n for status, n in result.statuses.items() if status != "200")
                windows.append(Window(side, result.rps, result.p50_ms, result.p99_ms, bad))
                say(f"{side}: {result.rps:.0f} requests/s, p99 {result.p99_ms:.0f} ms")
    return windows


def medians(windows: Sequence[Window]) -> dict[str, Window]:
    """Return each side's medians, with the sum of ``bad``."""
    sides = {}
    for side in _BUILDS:
        own = [window for window in windows if window.side == side]
        rps, p50_ms, p99_ms = (median(getattr(w, name) for w in own) for name in ("rps", "p50_ms", "p99_ms"))
        sides[side] = Window(side, rps, p50_ms, p99_ms, sum(window.bad for window in own))
    return sides


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.call_spread", description=(__doc__ or "").splitlines()[0]
    )
    for name, default in (("ingresses", 1), ("rankers", 2), ("clients", 16), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rankway-spread-") as folder, redirect_stdout(sys.stderr):
        dlrm.build(Path(folder), rows=100, items=2000, users=10)
        config = spread_config(options.ingresses, options.rankers, free_port())
        windows = measure(config, Path(folder), options.clients, options.rounds, options.seconds)
    sides = medians(windows)
    ratio = sides[RANKWAY].rps / sides[SERVE].rps
    if options.as_json:
        rounds = [(w.side, w.rps, w.p50_ms, w.p99_ms, w.bad) for w in windows]
        sys.stdout.write(json.dumps({"ratio": ratio, "rounds": rounds}, indent=1) + "\n")
        return 0
    for side, window in sides.items():
        sys.stdout.write(
            f"{side:8}{window.rps:8.0f} requests/s, p50 {window.p50_ms:4.0f} ms, p99 {window.p99_ms:4.0f} ms, "
            f"{window.bad} bad\n"
        )
    sys.stdout.write(f"{RANKWAY} answers {ratio:.2f} times as many requests as {SERVE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
