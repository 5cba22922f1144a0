"""A benchmark's cell: one server under one load, with each process's CPU."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cases.bare_model import BareCell
from benchmarks.harness.answers import Batches, read_batches
from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_closed, run_open
from benchmarks.harness.meters.cpu_window import CpuWindow
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import LoadResult
from benchmarks.harness.servers import Server

_HOST = "127.0.0.1"
_PATH = "/v1/rank"
_OPEN_CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop with ``clients``, or an open loop at ``share`` of the service's closed-loop peak."""

    clients: int = 0
    share: float = 0.0

    @property
    def label(self) -> str:
        """Short name, such as c32 or open 80%."""
        return f"c{self.clients}" if self.clients else f"open {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One window's figures.

    Attributes:
        core_ms: CPU milliseconds per request, by role.
        foreign_cores: cores that processes other than server and client kept busy. Above 0.1 the cell is disturbed.
    """

    load: LoadResult
    core_ms: dict[str, float]
    batches: Batches
    foreign_cores: float


def rank_request(host: str, body: bytes) -> bytes:
    """Return a request to Rankway as bytes."""
    return http_request(host, _PATH, body)


def measure_cell(
    server: Server,
    load: Load,
    bodies: Sequence[bytes],
    seconds: float,
    peak_rps: float,
    *,
    encode: Callable[[str, bytes], bytes] = rank_request,
    document_of: Callable[[bytes], bytes] | None = None,
) -> Cell:
    """Load the server for ``seconds``, and return the figures.

    Args:
        server: the server.
        load: the load.
        bodies: the requests' bodies, sent in turn.
        seconds: length of the window.
        peak_rps: the rate of which an open loop sends a share.
        encode: makes the HTTP request from the host and a body, for servers with another interface.
        document_of: takes Rankway's JSON document out of another server's body.
    """
    requests = [encode(f"{_HOST}:{server.port}", body) for body in bodies]
    window = CpuWindow(server.meter)
    loop: ClosedLoop | OpenLoop
    if load.clients:
        loop = ClosedLoop(requests, clients=load.clients, duration_s=seconds)
        result = run_closed(_HOST, server.port, loop)
    else:
        rate, prime = load.share * peak_rps, health_request(_HOST)
        loop = OpenLoop(requests, rate, seconds, connections=_OPEN_CONNECTIONS, prime=prime)
        result = run_open(_HOST, server.port, loop)
    used = window.end()
    return Cell(
        load=result,
        core_ms={
            role: spent_s * 1e3 / max(1, loop.answered) for role, spent_s in used.by_role.items() if spent_s
        },
        batches=read_batches(loop.answers, document_of),
        foreign_cores=used.foreign_cores,
    )


def model_core_ms(batches: Batches, cells: Sequence[BareCell], most: float = math.inf) -> float:
    """Return the model's CPU per request. It is the bare model's CPU at the sizes of the calls.

    Args:
        batches: the observed batches.
        cells: the bare model's figures with one runtime and layout, by batch size. Between two sizes, the CPU is
            interpolated.
        most: the most requests in one call of the model. A larger batch is several calls.
    """
    by_size = sorted((cell.requests_a_batch, cell.core_ms_a_request) for cell in cells)
    sizes = np.log2([size for size, _ in by_size])
    costs = [cost for _, cost in by_size]
    counts: Mapping[int, int] = batches.requests_by_batch
    total = sum(size * count for size, count in counts.items())
    spent = sum(
        float(np.interp(np.log2(min(size, most)), sizes, costs)) * size * count
        for size, count in counts.items()
    )
    return spent / total if total else float("nan")
