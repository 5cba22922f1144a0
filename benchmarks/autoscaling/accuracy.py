"""Accuracy: a live DLRM service at fixed replica counts and loads, compared with a simulation of the same arrivals.

The simulation uses a profile that ``rankway models bench`` measures beforehand, in a separate process. Nothing is
fitted to the live measurements. A request scores 512 candidates instead of 32. So the model takes nearly all of two
cores, and HAProxy and the client, which run elsewhere in a real cluster, take little.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from autoscale.capacity.service_time import service_time
from autoscale.spec import PipelineSpec
from benchmarks.autoscaling.stretches import Stretch, measure_stretch
from benchmarks.harness.servers import service
from services.autoscaling.spec import spec_of
from services.config.loading import load_config, validated
from services.config.pipeline import PipelineConfig

_CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dlrm.yaml"
_CANDIDATES, _REQUESTS_A_BATCH = 512, 4
_LOADS = (0.5, 0.7, 0.85)
_STRETCHES = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One replica count at one load. The load is a share of the highest rate that the profile allows.

    A cell is measured in several stretches, which alternate with stretches at other loads. All figures are medians
    over the cell's stretches.

    Attributes:
        rate: requests per second.
    """

    replicas: int
    load: float
    rate: float
    stretches: tuple[Stretch, ...]

    def median(self, name: str) -> float:
        """Return a figure's median over the stretches."""
        return float(median(getattr(stretch, name) for stretch in self.stretches))

    @property
    def difference(self) -> float:
        """Relative error of the simulated p99: simulated / live - 1."""
        return self.median("simulated_p99_ms") / self.median("live_p99_ms") - 1

    @property
    def paced_difference(self) -> float:
        """Relative error of the p99 that was simulated at the measured pace: simulated / live - 1."""
        return self.median("paced_p99_ms") / self.median("live_p99_ms") - 1


def profile_path(home: Path, replicas: int) -> Path:
    """Return the path to this benchmark's profile for a replica that runs among `replicas` replicas."""
    return home / _profile(replicas)


def _profile(replicas: int) -> str:
    return f"profiles/dlrm-accuracy-{replicas}.json"


def take_profile(home: Path, replicas: int) -> None:
    """Measure the pipeline with ``rankway models bench``, as its operators would, and write ``profile_path``.

    Raises:
        subprocess.CalledProcessError: the measurement failed. Its messages are on standard error.
    """
    with _written(accuracy_config(replicas)) as path:
        command = [sys.executable, "-m", "cli.main", "models", "bench", str(path)]
        folder = str(profile_path(home, replicas).parent)
        subprocess.run([*command, "--out", folder], check=True, stdout=sys.stderr, timeout=600)


def run_accuracy(
    home: Path, replicas: Sequence[int], seconds: float, report: Callable[[str], None]
) -> list[Cell]:
    """Measure and simulate every cell, each for `seconds` in total."""
    return [cell for count in replicas for cell in _cells(home, count, seconds, report)]


def accuracy_config(replicas: int) -> PipelineConfig:
    """Return the DLRM's pipeline with 512 candidates per request, 4 requests per full batch, and the profile."""
    data = load_config(_CONFIG).model_dump(mode="json")
    data["candidates"]["count"] = _CANDIDATES
    data["requests"]["default_deadline_ms"] = 5000
    data["units"]["main"] |= {
        "replicas": replicas,
        "batching": {"max_candidates": _CANDIDATES * _REQUESTS_A_BATCH},
        "profile": _profile(replicas),
    }
    return validated(data, "accuracy")


@contextmanager
def _written(config: PipelineConfig) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rankway-live-") as folder:
        path = Path(folder) / "dlrm.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        yield path


def _cells(home: Path, replicas: int, seconds: float, report: Callable[[str], None]) -> list[Cell]:
    config = accuracy_config(replicas)
    spec = spec_of(config, home)
    rates = {load: load * replicas * most_per_s(spec) for load in _LOADS}
    stretches: dict[float, list[Stretch]] = {load: [] for load in _LOADS}
    with _written(config) as path, service(path) as server:
        for number in range(_STRETCHES):
            for load, rate in rates.items():
                seed = 1000 * replicas + 100 * number + round(100 * load)
                stretch = measure_stretch(server, spec, rate, seconds / _STRETCHES, seed)
                stretches[load].append(stretch)
                report(
                    f"{replicas} replicas at {load:.0%}, {rate:.0f} requests/s: p99 "
                    f"{stretch.live_p99_ms:.1f} ms live, {stretch.simulated_p99_ms:.1f} ms simulated, "
                    f"{stretch.paced_p99_ms:.1f} ms simulated at the measured pace of {stretch.pace:.2f}"
                )
    return [Cell(replicas, load, rates[load], tuple(stretches[load])) for load in _LOADS]


def most_per_s(spec: PipelineSpec) -> float:
    """Return the highest rate in requests per second that the profile allows a replica of the first unit."""
    unit = spec.units[0]
    count = spec.candidates_per_request
    requests = max(1, unit.max_candidates // count)
    return requests / float(service_time(unit.placed[0].profile).busy_s(requests, requests * count))
