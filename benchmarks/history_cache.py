"""The history cache: CPU per request without the cache, if no past is cached, and if all pasts are cached.

    python -m benchmarks.history_cache [--workload walks-200] [--seconds 10] [--json]

It runs all work of the ranker's stage (cache keys, inputs and graph) for real users on one thread. The three cases
alternate. The model "ranker" is the pipeline's own ranker. The model "wide" has width 256, 6 layers, random weights and
the same inputs.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.cases.batches import BatchMaker
from benchmarks.cases.wide_ranker import write_wide_ranker
from benchmarks.cases.workloads import WORKLOADS, Workload
from models.artifact import Artifact
from models.errors import ModelError
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.paths import home_directory
from services.stages.features import load_definitions
from services.stages.scoring.history_cache import HistoryCacheConfig, LruBytes, NoCounts
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.scorer import ModelConfig, ModelScorer

_BATCHES = 8
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class HistoryCost:
    """One model's medians over rounds at one batch size, in core-milliseconds per request.

    Attributes:
        bytes_a_past: one cached past's memory.
    """

    model: str
    requests_a_batch: int
    without_core_ms: float
    missed_core_ms: float
    hit_core_ms: float
    bytes_a_past: float


def measure(workload: Workload, home: Path, sizes: Sequence[int], seconds: float) -> list[HistoryCost]:
    """Measure the workload's ranker and the wide one, ``seconds`` for each at each batch size.

    Raises:
        ModelError: the ranker cannot be loaded, or its graph cannot be split.
        ConfigError: the pipeline cannot be loaded.
    """
    config = workload.pipeline()
    maker = BatchMaker(config, home, seed=0)
    definitions = load_definitions(home / config.features.definitions)
    ranker = home / config.models[config.required_ranker().model].artifact
    costs = []
    with TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        wide = Path(folder) / "wide"
        write_wide_ranker(wide, Artifact.load(ranker))
        for name, root in (("ranker", ranker), ("wide", wide)):
            model = ModelConfig(artifact=str(root))
            plain = ModelScorer(model, maker.catalogue, home)
            limits = HistoryCacheConfig(max_bytes=_MAX_BYTES)
            cached = HistoryScorer(model, limits, maker.catalogue, definitions, home, NoCounts())
            costs += [_cost(name, plain, cached, maker, size, seconds) for size in sizes]
    return costs


def _cost(
    name: str, plain: ModelScorer, cached: HistoryScorer, maker: BatchMaker, size: int, seconds: float
) -> HistoryCost:
    batches = [maker.batch(size) for _ in range(_BATCHES)]

    def missed(batch: RaggedBatch) -> None:
        cached.entries = LruBytes(_MAX_BYTES)
        cached.scores(batch, "score")

    sides: list[Callable[[RaggedBatch], object]] = [
        lambda batch: plain.scores(batch, "score"),
        missed,
        lambda batch: cached.scores(batch, "score"),
    ]
    samples: list[list[float]] = [[], [], []]
    ends_s = time.perf_counter() + seconds
    while time.perf_counter() < ends_s or not samples[0]:
        for side, run in enumerate(sides):
            for batch in batches if side == 2 else batches[:1]:
                run(batch)
            started_s = time.thread_time()
            for batch in batches:
                run(batch)
            samples[side].append((time.thread_time() - started_s) * 1e3 / (_BATCHES * size))
    cache = cached.entries
    without, all_missed, all_hit = (median(side) for side in samples)
    return HistoryCost(name, size, without, all_missed, all_hit, cache.held_bytes / len(cache))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="benchmarks.history_cache", description=about)
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--requests", nargs="+", type=int, default=[1, 5], help="requests per batch")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds per model and batch size")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        costs = measure(WORKLOADS[options.workload], home_directory(), options.requests, options.seconds)
    except (ModelError, ConfigError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if options.json:
        json.dump([asdict(cost) for cost in costs], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write("model   requests per batch  core-ms without  all missed  all hit  KB per past\n")
    for cost in costs:
        sys.stdout.write(
            f"{cost.model:6}  {cost.requests_a_batch:18}  {cost.without_core_ms:15.3f}  {cost.missed_core_ms:10.3f}  "
            f"{cost.hit_core_ms:7.3f}  {cost.bytes_a_past / 1e3:11.1f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
