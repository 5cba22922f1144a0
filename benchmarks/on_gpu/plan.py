"""Runs the cells within a time budget. A cell that fails or does not fit is reported, and the others go on."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from benchmarks.on_gpu.cells import Bench, best_batch, free, measure
from benchmarks.on_gpu.injection import measure_injection
from benchmarks.on_gpu.variants import NotHere, Variant, variants_of
from benchmarks.on_gpu.workloads import Workload

Say = Callable[[str], None]


@dataclass
class Outcome:
    """The rows of all cells, and the cells without a row.

    Attributes:
        rows: figures by cell.
        not_run: reasons by cell: a missing package or device, too little memory or time.
        failed: errors by cell.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The cells to run.

    Attributes:
        workloads: the models.
        variants: names of variants, or nothing for all.
        compiles: whether to run variants that are compiled. They run only with the most important number of
            candidates, because each compilation takes up to a minute.
    """

    workloads: Mapping[str, Workload]
    variants: tuple[str, ...] = ()
    compiles: bool = True

    def cells(self, *, first: bool) -> Iterator[tuple[Workload, int, Variant]]:
        """Yield the cells with each model's most important number of candidates, or those with the other numbers."""
        deepest = max(len(workload.buckets) for workload in self.workloads.values())
        for index in (0,) if first else range(1, deepest):
            for workload in self.workloads.values():
                for variant in variants_of(workload.options):
                    if index < len(workload.buckets) and self._includes(variant, first=first):
                        yield workload, workload.buckets[index], variant

    def _includes(self, variant: Variant, *, first: bool) -> bool:
        if self.variants:
            return variant.name in self.variants
        return variant.in_smoke if not self.compiles else first or not variant.compiled


def run(bench: Bench, selection: Selection, until_s: float, say: Say) -> Outcome:
    """Run the selected cells. Begin none after ``until_s`` on the monotonic clock."""
    outcome = Outcome()
    sizes: dict[tuple[str, int], int] = {}

    def attempt(name: str, rows: Callable[[], list[dict[str, Any]]]) -> None:
        if time.monotonic() > until_s:
            outcome.not_run[name] = "no time left; raise --minutes"
            return
        started_s = time.monotonic()
        try:
            measured = rows()
        except NotHere as reason:
            outcome.not_run[name] = str(reason)
        except torch.OutOfMemoryError:
            outcome.not_run[name] = "one request needs more memory than the device has"
        except Exception as error:  # a variant may fail in many ways, and must not end the others
            outcome.failed[name] = f"{type(error).__name__}: {_first_line(error)}"
        else:
            outcome.rows += measured
        try:
            free(bench.device)
        except RuntimeError as error:  # after some errors CUDA refuses every further call of this process
            outcome.failed.setdefault(name, f"{type(error).__name__}: {_first_line(error)}")
        result = outcome.failed.get(name) or outcome.not_run.get(name) or "measured"
        say(f"{name}: {result} ({time.monotonic() - started_s:.1f} s)")

    for first in (True, False):
        for workload, candidates, variant in selection.cells(first=first):
            name = f"{workload.name}, {candidates} candidates, {variant.name}"
            attempt(name, partial(_rows, bench, workload, candidates, variant, sizes))
        if first and not selection.variants:
            attempt("DeepSpeed kernel injection", partial(measure_injection, bench))
    return outcome


def _rows(
    bench: Bench, workload: Workload, candidates: int, variant: Variant, sizes: dict[tuple[str, int], int]
) -> list[dict[str, Any]]:
    """Measure one cell with the best batch of the workload's first variant, or a smaller one that fits."""
    key = workload.name, candidates
    if key not in sizes:
        sizes[key] = best_batch(bench, workload, candidates, variants_of(workload.options)[0])
        free(bench.device)
    requests = sizes[key]
    while True:
        try:
            return [measure(bench, workload, candidates, variant, requests)]
        except torch.OutOfMemoryError:
            if requests == 1:
                raise
            requests //= 2
        free(bench.device)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
