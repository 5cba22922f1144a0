"""CPU per request against the number of candidates, by stage, with the walks' ranker and reranker."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.growth.chart import Chart, Panel, Points
from benchmarks.growth.in_process import MERGED, TOTAL, InProcess, with_changes
from benchmarks.growth.tiled import home_with
from services.paths import home_directory

_XS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Measure requests with each number of candidates, one request per batch."""
    pipeline = WORKLOADS["walks-200"].pipeline()
    with tempfile.TemporaryDirectory(prefix="rankway-growth-") as folder:
        home = Path(folder)
        home_with(home, home_directory(), Path(pipeline.catalogue), settings["items"])
        for count in xs:
            counts = {"count": count, "max_count": count}
            with InProcess(with_changes(pipeline, {"candidates": counts}), home) as replica:
                cost = replica.cost(settings["seconds"])
            yield count, cost | {"us per candidate": cost[TOTAL] * 1e3 / count}


CHART = Chart(
    name="candidates",
    title="One request of walks-200's pipeline with more candidates: CPU by stage, one replica in one process",
    x_label="candidates per request",
    xs=_XS,
    panels=(
        Panel("CPU ms per request", (TOTAL, "ranker", "reranker", "features", MERGED), bend_of=TOTAL),
        Panel("CPU us per candidate", ("us per candidate",)),
    ),
    measure=measure,
    settings={"seconds": 3.0, "items": 20_000},
)
