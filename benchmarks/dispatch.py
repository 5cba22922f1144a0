"""Dispatch: a ranker with some layers on disk, compared with the same ranker in memory.

    python -m benchmarks.dispatch [--size large] [--share 0.5] [--json]

It compares scores, resident memory and time. Each of the two runs in its own process, and the processes alternate. The
size "ranker" is the walks pipeline's artifact. The other sizes have the same inputs and random weights. Resident memory
is a process's peak growth since before it loaded the model. It includes private memory, mapped file pages and
activations. Each process has run the walks pipeline's ranker before, so that PyTorch's code, 12 MiB, is resident.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cases.batches import BatchMaker
from benchmarks.cases.workloads import WORKLOADS, Workload
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ModelError
from models.runtimes.weight_sizes import weights_of
from models.signature import Inputs
from services.errors import ConfigError
from services.paths import home_directory

MIB = 1 << 20
SIZES: Mapping[str, Mapping[str, int]] = {
    "ranker": {},
    "wide": {"width": 512, "heads": 8, "layers": 8, "hidden": 2048},
    "large": {"width": 1024, "heads": 16, "layers": 24, "hidden": 4096},
}
ALLOCATOR_MIB = 2.0
"""The memory that malloc retains between activations differs by this much from run to run."""
_START_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Side:
    """The medians for one ranker, in memory or dispatched.

    Attributes:
        ms: milliseconds per batch.
        peak_mib: peak growth in resident memory since before the model was loaded.
    """

    ms: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class DispatchCost:
    """One model's figures, in memory and dispatched.

    Attributes:
        limit_mib: maximum memory for weights.
        activations_mib: memory that the ranker in memory uses beyond its weights.
        difference: maximum difference in any score, relative to the largest score.
    """

    size: str
    weights_mib: float
    limit_mib: float
    in_memory: Side
    dispatched: Side
    activations_mib: float
    difference: float

    @property
    def keeps_the_limit(self) -> bool:
        """Whether the dispatched ranker's weights stayed within the limit, including file pages."""
        return self.dispatched.peak_mib <= self.limit_mib + self.activations_mib + ALLOCATOR_MIB

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {"keeps_the_limit": self.keeps_the_limit}

    def table(self) -> str:
        """Return a table as text."""
        rows = [("in memory", "", self.in_memory), ("dispatched", f"{self.limit_mib:.1f}", self.dispatched)]
        return "\n".join(
            [
                "               weights MiB  limit MiB  peak MiB  ms per batch",
                *(
                    f"{name:13}  {self.weights_mib:11.1f}  {limit:>9}  {side.peak_mib:8.1f}  {side.ms:12.1f}"
                    for name, limit, side in rows
                ),
                f"scores differ by {self.difference:.1e} of the largest, activations {self.activations_mib:.1f} MiB, "
                f"limit {'kept' if self.keeps_the_limit else 'NOT kept'}",
            ]
        )


def measure(workload: Workload, home: Path, size: str, share: float, rounds: int) -> DispatchCost:
    """Measure one size, with at most ``share`` of its weights in memory.

    Raises:
        ModelError: the ranker cannot be loaded.
        ConfigError: the pipeline cannot be loaded.
    """
    config = workload.pipeline()
    small = root = home / config.models[config.required_ranker().model].artifact
    maker = BatchMaker(config, home, seed=0)
    assemble = InputAssembler(Artifact.read(root).signature, maker.catalogue)
    batches = [{n: a.copy() for n, a in assemble(maker.batch(1)).items()} for _ in range(rounds)]
    with TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        if SIZES[size]:
            _in_a_process(_write, Path(folder) / size, root, SIZES[size])
            root = Path(folder) / size
        weights_mib = weights_of(root, Artifact.read(root)).whole_bytes / MIB
        limit_mib = share * weights_mib
        memory_process, disk_process = (
            _Process(root, small, batches[0], options)
            for options in (
                {"kind": "accelerate", "max_memory_mib": {"cpu": 4 * weights_mib}},
                {"kind": "accelerate", "max_memory_mib": {"cpu": limit_mib}},
            )
        )
        with memory_process, disk_process:
            outputs = [(memory_process.run(batch), disk_process.run(batch)) for batch in batches]
            sides = [process.side() for process in (memory_process, disk_process)]
    largest = max(float(np.abs(scores).max()) for scores, _ in outputs)
    difference = max(float(np.abs(first - second).max()) for first, second in outputs)
    return DispatchCost(
        size,
        weights_mib,
        limit_mib,
        in_memory=sides[0],
        dispatched=sides[1],
        activations_mib=sides[0].peak_mib - weights_mib,
        difference=difference / largest,
    )


def _in_a_process(function: Any, *arguments: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise ModelError(f"{function.__name__} failed, got exit code {process.exitcode}; its error is above")


def _write(root: Path, source: Path, sizes: Mapping[str, int]) -> None:
    """Write a ranker with other sizes that reads the same inputs as the ranker at ``source``."""
    import torch

    from models.architectures import build_architecture
    from models.artifact import write_artifact
    from models.training.export import SAFETENSORS, weight_writer

    torch.manual_seed(0)
    artifact = Artifact.read(source)
    module = build_architecture({**artifact.architecture, **sizes})
    write_artifact(
        root,
        name="sized",
        signature=artifact.signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, artifact.signature, onnx=False),
        architecture=module.options.model_dump(mode="json"),
    )


class _Process:
    """A runtime in a separate process."""

    def __init__(self, root: Path, small: Path, inputs: Inputs, options: Mapping[str, Any]) -> None:
        """Start the process. Entering the context waits until it has loaded the model.

        Args:
            root: the ranker.
            small: a ranker with the same inputs, which runs before memory is measured.
            inputs: the inputs for that.
            options: the ranker's runtime.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, root, small, inputs, dict(options))
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "_Process":
        if not self._pipe.poll(_START_LIMIT_S) or self._pipe.recv() != "ready":
            raise ModelError("a process did not load its model; the error is above")
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def run(self, inputs: Inputs) -> np.ndarray:
        """Return the scores."""
        self._pipe.send(inputs)
        scores: np.ndarray = self._pipe.recv()
        return scores

    def side(self) -> Side:
        """Return the figures that the process measured."""
        self._pipe.send(None)
        side: Side = self._pipe.recv()
        return side


def _serve(pipe: Connection, root: Path, small: Path, inputs: Inputs, options: Mapping[str, Any]) -> None:
    """Load the runtime, then run the inputs that arrive. None requests the figures. A closed pipe ends the loop."""
    from models.runtimes import load_runtime
    from models.runtimes.kinds.registry import runtime_config

    warm_up = load_runtime(small, Artifact.read(small), runtime_config(kind="accelerate"))
    warm_up.run(inputs)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    artifact = Artifact.read(root)
    runtime = load_runtime(root, artifact, runtime_config(**options))
    pipe.send("ready")
    took_ms: list[float] = []
    try:
        while True:
            batch: Inputs | None = pipe.recv()
            if batch is None:
                pipe.send(Side(median(took_ms), (_status("VmHWM") - before) / MIB))
                continue
            started_s = time.perf_counter()
            scores = runtime.run(batch)[artifact.signature.outputs[0].name]
            took_ms.append((time.perf_counter() - started_s) * 1e3)
            pipe.send(scores)
    except EOFError:
        return


def _status(field: str) -> int:
    """Return a field from this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="benchmarks.dispatch", description=about)
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-50")
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--share", type=float, default=0.5, help="share of weights that may be in memory")
    parser.add_argument("--rounds", type=int, default=5, help="number of batches, with one request each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        cost = measure(
            WORKLOADS[options.workload], home_directory(), options.size, options.share, options.rounds
        )
    except (ModelError, ConfigError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write((json.dumps(cost.as_dict(), indent=2) if options.json else cost.table()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
