"""NVIDIA Triton in PyTriton: Triton's HTTP server and dynamic batcher, and the model in Python callables.

A request has the user's id and k as binary tensors, and an answer has the JSON document as one binary tensor
(Triton's binary extension). So Triton parses and encodes only the small heads. The wheel has Triton's Python back end
only, so the ONNX file runs in ONNX Runtime from Python, as in all other servers.
"""

import os
import sysconfig

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.harness.servers import free_port
from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest
from benchmarks.peer_servers.work.workloads import open_work


class Ranker:
    """One copy of the model, which PyTriton calls in a thread of its own."""

    def __init__(self, options: PeerOptions) -> None:
        """Load the model."""
        self._work = open_work(options)

    @batch
    def rank(self, user: NDArray[np.bytes_], k: NDArray[np.int32]) -> dict[str, NDArray[np.bytes_]]:
        """Answer a batch: user ids (R, 1) and k (R, 1) to documents (R, 1)."""
        names, counts = user[:, 0].tolist(), k[:, 0].tolist()
        requests = [RankRequest(name.decode(), count) for name, count in zip(names, counts, strict=True)]
        return {"answer": np.array(self._work.rank(requests), dtype=object)[:, None]}


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = PeerOptions.read()
    settings = options.settings
    # Triton's Python back end loads libpython by name. It must be this Python's, not another one of the system.
    os.environ["LD_LIBRARY_PATH"] = str(sysconfig.get_config_var("LIBDIR"))
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=options.port,
        http_thread_count=max(1, settings.fronts),
        allow_grpc=False,
        allow_metrics=False,
        grpc_port=free_port(),
        metrics_port=free_port(),
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="ranker",
            infer_func=[Ranker(options).rank for _ in range(settings.workers)],
            inputs=[
                Tensor(name="user", dtype=bytes, shape=(1,)),
                Tensor(name="k", dtype=np.int32, shape=(1,)),
            ],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=settings.batch,
                batcher=DynamicBatcher(max_queue_delay_microseconds=round(settings.wait_ms * 1e3)),
            ),
            strict=False,
        )
        triton.serve()


if __name__ == "__main__":
    main()
