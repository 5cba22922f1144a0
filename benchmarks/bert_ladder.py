"""BERT on CPUs, from PyTorch's defaults to thirty times as many requests per second, rung by rung, in one run.

    python benchmarks/bert_ladder.py [--mix texts] [--rounds 5] [--seconds 2] [--quick] [--json]

All weights are random, because only speed is measured. The rungs are cumulative: BERT-base padded to 128 tokens in
PyTorch, half the layers, dynamic shapes, calls grouped by length, int8, the best runtime, one thread per worker with a
worker per core, and last a cache. The models are made in the data home if they are missing. ``--quick`` takes a tiny
BERT instead.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.bert.calls import Composer
from benchmarks.bert.mixes import MEDIAN, Mix, median_mix, real_mix
from benchmarks.bert.models import SIZES, quiet, write_models
from benchmarks.bert.published import FACTORS, LATENCY, TOTAL
from benchmarks.bert.report import Ladder, tables
from benchmarks.bert.rounds import Budget, measure
from benchmarks.bert.rungs import RUNTIMES, climb, without_vnni
from benchmarks.bert.texts import product_texts, route_texts
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import say
from models.text.tokenizer import TOKENIZER
from services.paths import home_directory
from walks.sources import WEIGHTS, locate

MIXES = ("texts", f"median {MEDIAN}")
_MAX_TOKENS = 64
_REQUESTS, _CALIBRATION = 20_000, 64
_LIBRARIES = ("torch", "onnxruntime", "openvino", "transformers")


def climbed(
    mix: Mix,
    models: Path,
    budget: Budget,
    max_tokens: int = _MAX_TOKENS,
    *,
    limited: bool = True,
    progress: Callable[[str], None] = say,
) -> Ladder:
    """Measure all rungs on one mix.

    Args:
        mix: the requests.
        models: the folder of the artifacts.
        budget: how long to measure.
        max_tokens: tokens in a call of several texts.
        limited: whether to measure without VNNI too.
        progress: called with the progress.
    """
    with tempfile.TemporaryDirectory(prefix="rankway-bert-") as folder:
        path = Path(folder) / f"{mix.name}.npz"
        mix.save(path)
        int8 = next(rung for rung in climb(max_tokens, RUNTIMES[0]) if rung.name == "int8")
        candidates = [int8, *(replace(int8, name=e, engine=e, artifact=a) for e, a in RUNTIMES)]
        some = replace(budget, rounds=max(1, budget.rounds // 2))
        runtimes = measure(candidates, path, models, some, progress)
        best = max(runtimes, key=lambda each: each.gain).rung
        rungs = climb(max_tokens, (best.engine, best.artifact))
        measured = measure(rungs, path, models, budget, progress)
        slow = measure(without_vnni(rungs), path, models, some, progress) if limited else []
    return Ladder(mix.name, mix.distribution(), measured, runtimes, slow)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="bert_ladder.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mix", choices=MIXES, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a rung in a round")
    parser.add_argument("--max-tokens", type=int, default=_MAX_TOKENS, help="in a call of several texts")
    parser.add_argument("--quick", action="store_true", help="a tiny BERT, to show that it works")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    home, tokenizer = home_directory(), locate(WEIGHTS).parent / TOKENIZER
    budget = Budget(1, 0.05) if options.quick else Budget(options.rounds, options.seconds)
    size = "tiny" if options.quick else "base"
    products, routes = product_texts(), route_texts(home)
    mixes = [make(tokenizer, products, routes, _REQUESTS) for make in (real_mix, median_mix)]
    quiet()
    composer = Composer(mixes[0])
    models = home / "benchmarks/bert" / size
    say("models")
    calibration = [composer.inputs(mixes[0].order[index : index + 1]) for index in range(_CALIBRATION)]
    write_models(models, SIZES[size], tokenizer, calibration)
    chosen = [mix for mix in mixes if not options.mix or mix.name in options.mix]
    ladders = [climbed(mix, models, budget, options.max_tokens) for mix in chosen]
    here, versions = machine(), {name: version(name) for name in _LIBRARIES}
    report = {
        **here,
        "versions": versions,
        "weights": "random",
        "size": size,
        "max_tokens": options.max_tokens,
    }
    published = {**FACTORS, "in all": TOTAL, "latency": LATENCY}
    if options.json:
        report |= {"published": published, "mixes": [ladder.data() for ladder in ladders]}
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"{here['cpu']}, {here['cores']} cores, {', '.join(here['flags'])}; random weights\n")
    sys.stdout.write(", ".join(f"{library} {number}" for library, number in versions.items()) + "\n\n")
    sys.stdout.write("\n\n".join(tables(ladder) for ladder in ladders) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
