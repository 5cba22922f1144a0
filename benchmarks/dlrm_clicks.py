"""Trains a DLRM on generated clicks, and writes it with its AUC next to that of the hidden teacher.

    python -m benchmarks.dlrm_clicks [--rows 1000000] [--width 64] [--json]

The clicks and their teacher are described in ``benchmarks/clicks/teacher.py``. The artifact is ``dlrm-clicks/artifact``
in the data home, completely or not at all. It has the shape of the model in ``configs/dlrm.yaml``, with twice as many
rows in its tables. Training takes about three minutes on one core. The same options and seed give the same rows, and
on the same processor the same weights. A model of the default size must have an AUC of at least 0.75, or else the
command ends with status 1.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.dlrm import features_of
from benchmarks.clicks.case import LINEAGE, TABLE_ROWS, Case
from benchmarks.clicks.data import inputs_of, lists_of
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import say
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.compress.figures import Interval
from models.compress.quality import quality_of
from models.errors import ArtifactError
from services.paths import home_directory

ARTIFACT = "dlrm-clicks/artifact"
"""The trained model's folder in the data home."""
_LEAST_AUC = 0.75
_GOLDEN_ROWS = 64
_LINE_EVERY_S = 5.0
Log = Callable[[str], None]


def build(
    root: Path, options: DlrmOptions, case: Case, *, threads: int = 1, log: Log = lambda line: None
) -> Artifact:
    """Train a model and write its artifact.

    Args:
        root: the artifact's folder. An existing artifact is replaced.
        options: the architecture.
        case: the rows.
        threads: CPU threads of the training.
        log: called with lines that report the progress.
    """
    import torch

    from benchmarks.cases.dlrm_export import write_module
    from benchmarks.clicks.training import Fit, fit, scores_of
    from models.architectures.dlrm import Dlrm

    torch.set_num_threads(threads)
    torch.manual_seed(case.seed)
    model, teacher = Dlrm(options), case.teacher(options)
    fit(
        model,
        case.chunks(teacher, "train"),
        case.rows,
        Fit(),
        seed=case.seed,
        progress=_lines(case.rows, log),
    )
    held_out = case.draw(teacher, "report")
    found, best = (_auc(scores, held_out.labels) for scores in (scores_of(model, held_out), held_out.chances))
    metrics = {
        "auc": found.value,
        "auc_low": found.low,
        "auc_high": found.high,
        "teacher_auc": best.value,
        "click_rate": float(held_out.labels.mean()),
    }
    return write_module(
        root,
        "dlrm-clicks",
        model,
        features_of(options).content_hash,
        inputs_of(case.draw(teacher, "select").rows(slice(_GOLDEN_ROWS))),
        lineage={"weights": "trained on generated clicks", **case.lineage()},
        metrics=metrics,
    )


def trained(root: Path, options: DlrmOptions, case: Case, *, log: Log) -> Artifact:
    """Return the model at ``root``. It is trained first if it is missing, or has other options or another case."""
    try:
        found = Artifact.load(root)
    except ArtifactError:
        return build(root, options, case, log=log)
    if found.architecture == options.model_dump(mode="json") and found.lineage.get(LINEAGE) == asdict(case):
        return found
    log(f"{root}: has another size or was trained on other rows; it is trained again")
    return build(root, options, case, log=log)


def fault_of(artifact: Artifact) -> str | None:
    """Return why a model is too weak to be used, or None. Only models of the default size are judged."""
    options, case = DlrmOptions.model_validate(artifact.architecture), Case.of(artifact)
    is_full = options.rows >= TABLE_ROWS and case.rows >= Case().rows
    found = artifact.metrics["auc"]
    if not is_full or found >= _LEAST_AUC:
        return None
    return (
        f"auc: must be at least {_LEAST_AUC} with {case.rows:,} rows, got {found:.4f}; revert the last change of "
        f"benchmarks/clicks or of the DLRM"
    )


def _auc(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> Interval:
    quality = quality_of(scores, lists_of(labels), "auc")
    assert quality is not None  # the training stops if a loss is not finite
    return quality.interval()


def _lines(rows: int, log: Log) -> Callable[[int, float], None]:
    said_s, losses = time.monotonic(), list[float]()

    def progress(done: int, loss: float) -> None:
        nonlocal said_s
        losses.append(loss)
        if time.monotonic() - said_s >= _LINE_EVERY_S or done >= rows:
            log(f"training: {done:,} of {rows:,} rows, loss {np.mean(losses):.4f}")
            said_s = time.monotonic()
            losses.clear()

    return progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.dlrm_clicks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=Case().rows, help="training rows")
    parser.add_argument("--held-out", type=int, default=Case().held_out, help="rows that measure the AUC")
    parser.add_argument("--table-rows", type=int, default=TABLE_ROWS, help="rows in each of the 26 tables")
    parser.add_argument("--width", type=int, default=64, help="width of the tables' rows")
    parser.add_argument("--seed", type=int, default=Case().seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=ARTIFACT, help="the artifact's folder in the data home")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    root = home_directory() / chosen.out
    started_s = time.monotonic()
    artifact = build(
        root,
        DlrmOptions(rows=chosen.table_rows, width=chosen.width),
        Case(chosen.rows, chosen.held_out, chosen.seed),
        threads=chosen.threads,
        log=say,
    )
    took_s, found, fault = time.monotonic() - started_s, artifact.metrics, fault_of(artifact)
    if fault is not None:
        say(fault)
    status = 0 if fault is None else 1
    if chosen.json:
        report = {**machine(), "artifact": str(root), "version": artifact.version, "seconds": took_s, **found}
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return status
    sys.stdout.write(
        f"{root}: AUC {found['auc']:.4f} ({found['auc_low']:.4f} to {found['auc_high']:.4f}) on {chosen.held_out:,} "
        f"other rows, {found['click_rate']:.0%} of them clicked. The teacher, which no model can surpass, has "
        f"{found['teacher_auc']:.4f}. {took_s:.0f} s\n"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
