"""BentoML: one service with adaptive batching, one model per worker process.

BentoML batches lists, so a request is a list with one element, and so is an answer. BentoML itself parses and encodes
them. The batches form inside each worker process.
"""

import json
import os
import sys
from typing import Any

import bentoml
import msgspec

from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest
from benchmarks.peer_servers.work.workloads import open_work

_OPTIONS = PeerOptions.read()
_SETTINGS = _OPTIONS.settings


@bentoml.service(
    workers=_SETTINGS.workers,
    threads=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Ranker:
    """The service, once per worker process."""

    def __init__(self) -> None:
        """Load the model."""
        self._work = open_work(_OPTIONS)

    @bentoml.api(
        route="/v1/rank",
        batchable=True,
        max_batch_size=_SETTINGS.batch,
        max_latency_ms=max(1, round(_SETTINGS.wait_ms)),
    )
    def rank(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer a batch."""
        answers = self._work.rank(msgspec.convert(requests, list[RankRequest]))
        return [json.loads(answer) for answer in answers]


def main() -> None:
    """Run ``bentoml serve`` in place of this process."""
    target = "benchmarks.peer_servers.bentoml_server:Ranker"
    command = ["bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(_OPTIONS.port)]
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
    main()
