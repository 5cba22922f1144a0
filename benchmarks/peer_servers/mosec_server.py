"""mosec: a Rust HTTP server that batches, and worker processes that run the model.

The workers receive the request's bytes and return the answer's, so mosec itself neither parses nor encodes JSON.
"""

import os
from typing import Any

import msgspec
from mosec import Server, Worker
from mosec.runtime import Runtime

from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest
from benchmarks.peer_servers.work.workloads import open_work


class Ranker(Worker):
    """One model process."""

    resp_mime_type = "application/json"

    def __init__(self) -> None:
        """Load the model."""
        super().__init__()
        self._work = open_work(PeerOptions.read())
        self._decode = msgspec.json.Decoder(RankRequest).decode

    def deserialize(self, data: bytes) -> RankRequest:
        """Parse a request."""
        return self._decode(data)

    def serialize(self, data: bytes) -> bytes:
        """Return the answer as it is."""
        return data

    def forward(self, data: Any) -> Any:
        """Answer a batch, or a single request if the batch size is 1."""
        return self._work.rank(data) if isinstance(data, list) else self._work.rank([data])[0]


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = PeerOptions.read()
    settings = options.settings
    os.environ |= {
        "MOSEC_ADDRESS": "127.0.0.1",
        "MOSEC_PORT": str(options.port),
        "MOSEC_LOG_LEVEL": "warning",
    }
    server = Server()
    # mosec's smallest wait is 1 ms. It takes 0 for its default of 10 ms.
    ranker = Runtime(Ranker, settings.workers, settings.batch, max(1, round(settings.wait_ms)))
    server.register_runtime({"/v1/rank": [ranker]})
    server.run()


if __name__ == "__main__":
    main()
