"""Ray Serve's published DLRM example, with the ONNX file instead of its torch model.

The example is ``recsys/app.py`` of https://github.com/anyscale/serve-performance-blog: a FastAPI ingress with two
replicas draws a request's candidates and sends their features, as lists, to a ranker with one replica, which batches
with ``@serve.batch``. Its batch size is 100, and an incomplete batch waits 50 ms. The structure, the lists and these
values are the example's. Only the model, the source of the features and the answer's fields are this benchmark's.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel
from ray import serve

from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.dlrm import Dlrm
from benchmarks.peer_servers.work.workloads import LOADED

_OPTIONS = PeerOptions.read()
_SETTINGS = _OPTIONS.settings
_CPUS = 0.1  # a share, because all replicas must fit on this machine's cores. It limits nothing
application = FastAPI()


class RankRequest(BaseModel):
    """A request."""

    user_id: str
    k: int


def _model() -> Dlrm:
    return Dlrm(Path(_OPTIONS.data), _OPTIONS.candidates, _SETTINGS.threads)


@serve.deployment(
    num_replicas=_SETTINGS.workers, max_ongoing_requests=1000, ray_actor_options={"num_cpus": _CPUS}
)
class Ranker:
    """Runs the model on batches."""

    def __init__(self) -> None:
        """Load the model."""
        self._model = _model()

    @serve.batch(max_batch_size=_SETTINGS.batch, batch_wait_timeout_s=_SETTINGS.wait_ms / 1e3)
    async def rank(self, payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Score the candidates of a batch's requests."""
        started_s = time.perf_counter()
        inputs: dict[str, NDArray[Any]] = {
            "dense": np.asarray([row for payload in payloads for row in payload["dense"]], dtype=np.float32),
            "sparse": np.asarray([row for payload in payloads for row in payload["sparse"]], dtype=np.int64),
        }
        gathered_s = time.perf_counter()
        scores = self._model.scores(inputs).reshape(len(payloads), -1).tolist()
        scored_s = time.perf_counter()
        timings_ms = {
            "features": round((gathered_s - started_s) * 1e3, 3),
            "ranker": round((scored_s - gathered_s) * 1e3, 3),
        }
        return [{"scores": own, "timings_ms": timings_ms} for own in scores]


@serve.deployment(
    num_replicas=_SETTINGS.fronts, max_ongoing_requests=1000, ray_actor_options={"num_cpus": _CPUS}
)
@serve.ingress(application)
class Ingress:
    """Draws the candidates, and sends their features to the ranker."""

    def __init__(self, ranker: Any) -> None:
        """Send to ``ranker``."""
        self._ranker = ranker
        self._items = _model()
        self._number = 0

    @application.post("/v1/rank")
    async def rank(self, request: RankRequest) -> Any:
        """Answer a request."""
        rows = self._items.draw(1)[0]
        features = self._items.features(rows)
        answer = await self._ranker.rank.remote({name: values.tolist() for name, values in features.items()})
        self._number += 1
        scores = answer["scores"]
        best = np.argsort(-np.asarray(scores))[: request.k].tolist()
        return {
            "request_id": f"{os.getpid():012x}-{self._number}",
            "items": [{"id": self._items.ids[rows[i]], "score": scores[i]} for i in best],
            "models": {"ranker": "1ff560ac008a", "release": "1ff560ac008a"},
            "degraded": None,
            "timings_ms": answer["timings_ms"],
        }


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": _OPTIONS.port})
    ingress, ranker = cast(Any, Ingress), cast(Any, Ranker)  # the decorators' types hide bind
    serve.run(ingress.bind(ranker.bind()))
    sys.stdout.write(
        LOADED + "\n"
    )  # Ray's own output of the replicas is off, because it costs CPU per request
    sys.stdout.flush()
    stopped.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


if __name__ == "__main__":
    main()
