"""A trained DLRM, and the same with int8 table rows and int8 layers: size, memory, latency and AUC, in one run.

    python -m benchmarks.dlrm_compression [--seconds 4] [--quick] [--json]

The model is that of ``python -m benchmarks.dlrm_clicks``. It is made if it is missing, and again if it has another size
or was trained on other rows. A recipe compresses it into ``dlrm-clicks/compressed`` in the data home. Then all models
are timed a second time, with rows drawn evenly from the tables. Frequent rows stay in the processor's cache if requests
are drawn like clicks, and hardly any does so if they are drawn evenly.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clicks.case import TABLE_ROWS, Case
from benchmarks.clicks.data import ClicksData
from benchmarks.dlrm_clicks import ARTIFACT, fault_of, trained
from benchmarks.harness.quiet import say
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.atomic_directory import settled
from models.compress.chain import Chain
from models.compress.data.runtime_scores import runtime_of
from models.compress.measuring.measure import Meter
from models.compress.measuring.rounds import Side, time_sides
from models.compress.recipe import ORIGINAL, MeasureConfig, Recipe
from models.compress.report.files import json_report, write_report
from models.compress.report.text import cells, columns
from models.compress.rows import Result
from models.compress.steps.base import Model
from services.paths import home_directory

OUT = "dlrm-clicks/compressed"
CANDIDATES = (32, 50, 200, 1000)
_QUICK = "quick-"


@dataclass(frozen=True, slots=True)
class EvenTime:
    """A model's time with evenly drawn rows.

    Attributes:
        of_original: how many times as fast as the original, the median of the rounds' ratios.
    """

    model: str
    candidates: int
    p50_ms: float
    p99_ms: float
    of_original: float


def recipe_of(seconds: float, candidates: Sequence[int] = CANDIDATES, out: str = OUT) -> Recipe:
    """Return the recipe. A step may lose a thousandth of the AUC."""
    rows = {"kind": "quantize", "mode": "embeddings"}
    layers = {"kind": "quantize", "mode": "dynamic"}
    return Recipe.model_validate(
        {
            "pipeline": "configs/dlrm.yaml",
            "model": "ranker",
            "out": out,
            "gate": {"max_ndcg_loss": 0.001, "min_speedup": 1.0},
            "measure": {"candidates": list(candidates), "seconds": seconds, "metric": "auc"},
            "branches": [
                # Its purpose is the size, so it is kept if it is about as fast.
                {"name": "rows-and-layers", "steps": [{**rows, "gate": {"min_speedup": 0.95}}, layers]},
                {"name": "layers", "steps": [layers]},
            ],
        }
    )


def compress(root: Path, home: Path, recipe: Recipe) -> tuple[Result, list[EvenTime]]:
    """Run the recipe, and time its models with evenly drawn rows.

    Args:
        root: the trained model.
        home: the data home.
        recipe: the recipe.

    Raises:
        ArtifactError: the model was not trained on generated clicks.
        ModelError: the model cannot be measured.
    """
    original = Model(settled(root), Artifact.load(root))
    data = ClicksData(original.artifact)
    meter = Meter(recipe.measure, data, original)
    result = Chain(recipe, home, original, data, meter, _progress).run()
    write_report(home / recipe.out, result)
    return result, _even_times(original, home, result, recipe.measure)


def _even_times(original: Model, home: Path, result: Result, measure: MeasureConfig) -> list[EvenTime]:
    data = ClicksData(original.artifact, evenly=True)
    models = {ORIGINAL: original}
    models |= {
        row.label: Model(home / row.path, Artifact.load(home / row.path)) for row in result.steps if row.path
    }
    sides = {
        name: Side(
            model.root,
            runtime_of(model.artifact),
            {n: data.requests(model.artifact.signature, n, 1) for n in measure.candidates},
        )
        for name, model in models.items()
    }
    times = time_sides(sides, measure.seconds, lambda done, total: _progress("drawn evenly", done, total))
    return [
        EvenTime(
            name,
            count,
            each.percentile_ms(count, 50),
            each.percentile_ms(count, 99),
            median(each.ratios(times[ORIGINAL], count)),
        )
        for name, each in times.items()
        for count in measure.candidates
    ]


def tables(result: Result, even: Sequence[EvenTime]) -> str:
    """Return the figures as text: one block per model."""
    titles = columns(result)
    lines = [f"{result.machine.cpu}, {', '.join(result.machine.flags)}; one thread"]
    for row in result.rows:
        lines.append("")
        lines += [f"{title:<44} {cell}" for title, cell in zip(titles, cells(result, row), strict=True)]
        if row.reason:
            lines.append(f"{'reason':<44} {row.reason}")
        if row.figures is not None:
            speeds = ", ".join(
                f"{each.candidates:,}: {each.of_original:.2f}" for each in row.figures.latencies
            )
            lines.append(f"{'speed-ups over original':<44} {speeds}")
        drawn = [each for each in even if each.model == row.label]
        for title, texts in (
            ("p50 / p99 ms, drawn evenly", [f"{each.p50_ms:.3g} / {each.p99_ms:.3g}" for each in drawn]),
            ("speed-up, drawn evenly", [f"{each.of_original:.2f}" for each in drawn]),
        ):
            shown = ", ".join(f"{e.candidates:,}: {text}" for e, text in zip(drawn, texts, strict=True))
            lines.append(f"{title:<44} {shown or '-'}")
    return "\n".join(lines) + "\n"


def data_of(result: Result, even: Sequence[EvenTime]) -> dict[str, Any]:
    """Return the figures as plain data: the recipe's report, and the times with evenly drawn rows."""
    report: dict[str, Any] = json.loads(json_report(result))
    return {**report, "drawn_evenly": [asdict(each) for each in even]}


def _progress(what: str, done: int, total: int, note: str = "") -> None:
    if done == total:
        say(f"{what}: {done} of {total} {note}".rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.dlrm_compression", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="for each model and number of candidates")
    parser.add_argument(
        "--candidates", type=lambda text: [int(n) for n in text.split(",")], default=[*CANDIDATES]
    )
    parser.add_argument("--quick", action="store_true", help="a tiny model, to show that it works")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    home, prefix = home_directory(), _QUICK if options.quick else ""
    root, out = home / f"{prefix}{ARTIFACT}", f"{prefix}{OUT}"
    if options.quick:
        model = trained(root, DlrmOptions(rows=1000, width=16), Case(rows=20_000, held_out=4_000), log=say)
        recipe = recipe_of(0.05, [4, 8], out)
    else:
        model = trained(root, DlrmOptions(rows=TABLE_ROWS), Case(), log=say)
        recipe = recipe_of(options.seconds, options.candidates, out)
    fault = fault_of(model)
    if fault is not None:
        say(fault)
        return 1
    result, even = compress(root, home, recipe)
    if options.json:
        json.dump(data_of(result, even), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(tables(result, even))
    return 0


if __name__ == "__main__":
    sys.exit(main())
