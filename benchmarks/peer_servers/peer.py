"""The description of a peer, by which the benchmark starts it and talks to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

from benchmarks.harness.cells import rank_request
from benchmarks.peer_servers.options import Settings

_REQUIREMENTS = Path(__file__).with_name("requirements")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that is compared with Rankway.

    Attributes:
        about: what it is, for the report.
        module: its module in this package.
        packages: the packages whose versions are reported.
        environment: the stem of its requirements file.
        grid: the values that the search tries, by setting. Empty if its settings are published ones.
        variables: additional environment variables.
        encode: makes an HTTP request from the host and a body.
        document_of: takes the JSON document out of an answer that has more than that.
        workloads: the workloads that it can serve.
        haproxy: whether HAProxy is in front of it.
        loads_reported: how many processes report that they have loaded the model. None for one per worker.
    """

    name: str
    about: str
    module: str
    packages: tuple[str, ...]
    environment: str
    grid: Mapping[str, Sequence[float]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[[str, bytes], bytes] = rank_request
    document_of: Callable[[bytes], bytes] | None = None
    workloads: tuple[str, ...] = ("dlrm",)
    haproxy: bool = False
    loads_reported: int | None = None

    @property
    def requirements(self) -> Path:
        """The pinned packages of its environment."""
        return _REQUIREMENTS / f"{self.environment}.txt"

    def candidates(self, best: Settings, cores: int) -> list[Settings]:
        """Return all settings that the search tries. Settings outside the grid stay as in ``best``.

        More model threads than ``cores`` plus one are left out. They only compete for the cores.
        """
        names = list(self.grid)
        tried = [
            Settings(**{**asdict(best), **dict(zip(names, values, strict=True))})
            for values in product(*self.grid.values())
        ]
        return [settings for settings in tried if settings.workers * settings.threads <= cores + 1]
