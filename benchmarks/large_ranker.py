"""The walks ranker in its size ``large``, in float32 and in int8: size, memory and latency, in one run.

    python -m benchmarks.large_ranker [--candidates 50,200,1000] [--seconds 8] [--quick] [--json]

All weights are RANDOM, because training 302 million parameters needs a GPU. So the quality is not measured. The
requests are lists of ``configs/walks.yaml``. Each model has one thread and a process of its own, and the models run in
turns. ``--quick`` takes a tiny ranker instead.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import say
from models.architectures import build_architecture
from models.architectures.options import SIZES, HistoryRankerOptions, Size
from models.artifact import Artifact, write_artifact
from models.compress.data.pipeline import PipelineData
from models.compress.data.runtime_scores import runtime_of
from models.compress.measuring.rounds import Side, time_sides
from models.compress.measuring.sizes import sizes_of
from models.compress.steps.base import Model, Work
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.quantization.step import STEP
from models.datasets.files.progress import silent
from models.training.export import ONNX, weight_writer
from models.training.folders import TrainingFolders
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.stages.features import load_definitions

CONFIG = Path("configs/walks.yaml")
_CANDIDATES = (50, 200, 1000)
_REQUESTS = 8
_TINY = Size(width=32, heads=2, layers=2, hidden=64)
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Figures:
    """One model's figures.

    Attributes:
        peak_mib: the largest memory of its process.
        p50_ms: by number of candidates.
        p99_ms: by number of candidates.
        of_float32: how many times as fast as in float32, the median over the rounds, by number of candidates.
        calls: measured requests, by number of candidates.
    """

    name: str
    parameters: int
    disk_mib: float
    peak_mib: float
    p50_ms: dict[int, float]
    p99_ms: dict[int, float]
    of_float32: dict[int, float]
    calls: dict[int, int]


def measure(
    config: PipelineConfig, home: Path, size: Size, candidates: Sequence[int], seconds: float
) -> list[Figures]:
    """Write the ranker with random weights, quantise it, and measure both.

    Args:
        config: the pipeline with the features and the lists.
        home: the data home, which has the pipeline's trained ranker.
        size: the size of the ranker.
        candidates: candidates in a request.
        seconds: seconds in which a model is called, for each number of candidates.

    Raises:
        ModelError: the pipeline's ranker or its data do not exist.
    """
    assert config.training is not None
    ranker = home / config.models[config.required_ranker().model].artifact
    with tempfile.TemporaryDirectory(prefix="rankway-large-") as folder:
        scratch = Path(folder)
        data = PipelineData(
            config.training,
            load_definitions(home / config.features.definitions),
            TrainingFolders(
                catalogue=home / config.catalogue,
                data=home / config.training.data,
                ranker=ranker,
                overlay=None if config.features.overlay is None else home / config.features.overlay,
            ),
            cache=scratch / "scores",
            progress=silent,
        )
        original = _random_ranker(Artifact.read(ranker), scratch / "float32", size)
        int8 = scratch / "int8"
        work = Work(original=original, data=data, scratch=scratch / "work", key="", progress=silent)
        STEP.run(QuantizeOptions(), original, int8, work)
        models = {"float32": original, "int8": Model(int8, Artifact.read(int8))}
        sides = {
            name: Side(
                model.root,
                runtime_of(model.artifact),
                {count: data.requests(model.artifact.signature, count, _REQUESTS) for count in candidates},
            )
            for name, model in models.items()
        }
        times = time_sides(sides, seconds, lambda done, total: say(f"round {done} of {total}"))
        sizes = {name: sizes_of(model.root, model.artifact, ".onnx") for name, model in models.items()}
    return [
        Figures(
            name=name,
            parameters=sizes[name].parameters,
            disk_mib=sizes[name].disk_bytes / _MIB,
            peak_mib=each.memory.peak_mib,
            p50_ms={count: each.percentile_ms(count, 50) for count in candidates},
            p99_ms={count: each.percentile_ms(count, 99) for count in candidates},
            of_float32={count: median(each.ratios(times["float32"], count)) for count in candidates},
            calls={count: each.calls(count) for count in candidates},
        )
        for name, each in times.items()
    ]


def _random_ranker(trained: Artifact, root: Path, size: Size) -> Model:
    """Write a ranker with the features of a trained one, and with random weights."""
    options = HistoryRankerOptions.model_validate({**trained.architecture, **size.model_dump()})
    module = build_architecture(options.model_dump(mode="json"))
    signature = module.signature(trained.signature.feature_hash)
    artifact = write_artifact(
        root,
        name="large",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=options.model_dump(mode="json"),
        lineage={"weights": "random"},
    )
    return Model(root, artifact)


def table(figures: Sequence[Figures]) -> str:
    """Return the figures as text."""
    lines = ["RANDOM weights; one thread; times in ms, p50 / p99"]
    for each in figures:
        times = ", ".join(
            f"{count:,}: {p50:.3g} / {each.p99_ms[count]:.3g} ({each.of_float32[count]:.2f}x, n={each.calls[count]})"
            for count, p50 in each.p50_ms.items()
        )
        lines.append(
            f"{each.name:<8} {each.parameters:,} parameters, {each.disk_mib:,.0f} MiB on disk, "
            f"{each.peak_mib:,.0f} MiB of memory; {times}"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.large_ranker", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--candidates", type=lambda text: [int(n) for n in text.split(",")], default=[*_CANDIDATES]
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="for each model and number of candidates")
    parser.add_argument("--quick", action="store_true", help="a tiny ranker, to show that it works")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    size = _TINY if options.quick else SIZES["large"]
    seconds = 0.1 if options.quick else options.seconds
    figures = measure(load_config(CONFIG), home_directory(), size, options.candidates, seconds)
    if options.json:
        json.dump(
            {**machine(), "weights": "random", "models": [asdict(each) for each in figures]},
            sys.stdout,
            indent=1,
        )
        sys.stdout.write("\n")
    else:
        sys.stdout.write(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
