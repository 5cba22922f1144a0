"""LitServe: FastAPI processes, and worker processes that run the model on batches from a queue."""

from collections.abc import Sequence
from typing import Any

import litserve
import msgspec
from starlette.responses import Response

from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest
from benchmarks.peer_servers.work.workloads import open_work


class Ranker(litserve.LitAPI):
    """The model in a worker process."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self._work = open_work(PeerOptions.read())

    def decode_request(self, request: dict[str, Any], **_: Any) -> RankRequest:
        """Check a request."""
        return msgspec.convert(request, RankRequest)

    def batch(self, inputs: Sequence[RankRequest]) -> Sequence[RankRequest]:
        """Keep the requests as a list."""
        return inputs

    def predict(self, x: Any, **_: Any) -> Any:
        """Answer a batch, or a single request if the batch size is 1."""
        return self._work.rank([x])[0] if isinstance(x, RankRequest) else self._work.rank(x)

    def unbatch(self, output: Sequence[bytes]) -> Sequence[bytes]:
        """Keep the answers as a list."""
        return output

    def encode_response(self, output: bytes, **_: Any) -> Response:
        """Return the answer's bytes, which FastAPI then sends without encoding them."""
        return Response(output, media_type="application/json")


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = PeerOptions.read()
    settings = options.settings
    api = Ranker(max_batch_size=settings.batch, batch_timeout=settings.wait_ms / 1e3, api_path="/v1/rank")
    server = litserve.LitServer(
        api, accelerator="cpu", devices=1, workers_per_device=settings.workers, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=settings.fronts,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
