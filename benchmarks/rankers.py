"""The ranker and the distilled ranker: CPU per request, measured alternately in one run, and quality.

    python -m benchmarks.rankers [--workload walks-200] [--seconds 5] [--json]

It uses one thread, ONNX Runtime and real users. In the report, "model" is the graph alone, and "with inputs" includes
the assembly of its inputs. The quality is read from the artifacts. All were evaluated on the same lists, the later half
of the validation period.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.cases.batches import BatchMaker
from benchmarks.cases.workloads import WORKLOADS, Workload
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.kinds.onnx import OnnxConfig
from services.paths import home_directory

REQUESTS_A_BATCH = 4
_BATCHES = 16


@dataclass(frozen=True, slots=True)
class RankerCost:
    """One model's medians over rounds, in core-milliseconds per request."""

    name: str
    model_core_ms: float
    with_inputs_core_ms: float
    ndcg_at_10: float


def measure(workload: Workload, home: Path, names: Sequence[str], seconds: float) -> list[RankerCost]:
    """Measure the named models of the workload's pipeline in turns, for ``seconds`` in total.

    Raises:
        ModelError: a model cannot be loaded.
    """
    config = workload.pipeline()
    maker = BatchMaker(config, home, seed=0)
    batches = [maker.batch(REQUESTS_A_BATCH) for _ in range(_BATCHES)]
    sides = {name: _Side(home / config.models[name].artifact, maker.catalogue, batches) for name in names}
    samples: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
    ends_s = time.perf_counter() + seconds
    while time.perf_counter() < ends_s or not samples[names[0]][0]:
        for name, side in sides.items():
            samples[name][0].append(_core_ms(side.run, batches))
            samples[name][1].append(_core_ms(side.run_with_inputs, batches))
    return [
        RankerCost(
            name,
            median(samples[name][0]),
            median(samples[name][1]),
            sides[name].artifact.metrics.get("ndcg_at_10", float("nan")),
        )
        for name in names
    ]


class _Side:
    """One model, with prepared inputs for all batches."""

    def __init__(self, root: Path, catalogue: Catalogue, batches: Sequence[RaggedBatch]) -> None:
        self.artifact = Artifact.load(root)
        self._runtime = load_runtime(root, self.artifact, OnnxConfig(threads=1))
        self._assemble = InputAssembler(self.artifact.signature, catalogue)
        self._prepared = {id(batch): self._assemble(batch) for batch in batches}

    def run(self, batch: RaggedBatch) -> object:
        return self._runtime.run(self._prepared[id(batch)])

    def run_with_inputs(self, batch: RaggedBatch) -> object:
        return self._runtime.run(self._assemble(batch))


def _core_ms(run: Callable[[RaggedBatch], object], batches: Sequence[RaggedBatch]) -> float:
    run(batches[0])
    started_s = time.thread_time()
    for batch in batches:
        run(batch)
    return (time.thread_time() - started_s) * 1e3 / (len(batches) * REQUESTS_A_BATCH)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.rankers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["ranker", "distilled"],
        help="names of the models to measure, as under models in the pipeline",
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        costs = measure(WORKLOADS[options.workload], home_directory(), options.models, options.seconds)
    except ModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if options.json:
        json.dump([asdict(cost) for cost in costs], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write("model       core-ms per request  with inputs  NDCG@10\n")
    for cost in costs:
        sys.stdout.write(
            f"{cost.name:10}  {cost.model_core_ms:19.3f}  {cost.with_inputs_core_ms:11.3f}  {cost.ndcg_at_10:7.4f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
