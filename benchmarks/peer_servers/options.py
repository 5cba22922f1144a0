"""A peer server's options, which the benchmark passes in an environment variable.

Most serving frameworks read the command line themselves and start processes of their own. An environment variable
reaches all of these processes.
"""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Self

VARIABLE = "RANKWAY_PEER"


@dataclass(frozen=True, slots=True)
class Settings:
    """A server's settings, which the search varies.

    Attributes:
        workers: processes that run the model.
        threads: ONNX Runtime's threads per process.
        batch: maximum requests per batch.
        wait_ms: how long an incomplete batch waits for more requests.
        fronts: HTTP processes, for servers that separate them from the model's. Others ignore it.
    """

    workers: int = 2
    threads: int = 1
    batch: int = 16
    wait_ms: float = 0.0
    fronts: int = 1


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What one server process needs to know.

    Attributes:
        workload: "dlrm" or "walks".
        data: the folder with the model and the items, Rankway's home.
        users: the folder with the users' features, for walks.
        candidates: candidates per request.
        port: the port for clients.
        haproxy: HAProxy's binary. With it, the server listens on other ports, and HAProxy on ``port``.
    """

    workload: str
    data: str
    port: int
    candidates: int
    users: str = ""
    haproxy: str = ""
    settings: Settings = Settings()

    def environment(self) -> dict[str, str]:
        """Return the environment variable."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> Self:
        """Return the options in this process's environment."""
        fields: dict[str, Any] = json.loads(os.environ[VARIABLE])
        return cls(**{**fields, "settings": Settings(**fields["settings"])})
