"""Results of recipes that did not run, with plausible figures."""

from models.compress.figures import Figures, Interval, Latency, Sizes
from models.compress.rows import Machine, Result, Row, State
from tests.models.compress.homes import recipe_document

CANDIDATES = (50, 200, 1000)


def figures(speedup: float, loss: float, around: float = 0.002) -> Figures:
    """Return figures with this speed-up and this loss, both compared with the original.

    The interval of the loss reaches ``around`` to both sides.
    """
    change = Interval(value=-loss, low=-loss - around, high=-loss + around)
    quality = 0.6 * (1 - loss)
    return Figures(
        runtime="onnx",
        sizes=Sizes(parameters=int(120_000 / speedup), disk_bytes=int(1.2e6 / speedup)),
        peak_mib=90.0,
        model_mib=12.0,
        latencies=tuple(
            Latency(
                candidates=count,
                p50_ms=count / 100 / speedup,
                p99_ms=count / 80 / speedup,
                of_parent=speedup,
                of_original=speedup,
                calls=800,
                spread=0.05,
            )
            for count in CANDIDATES
        ),
        quality=Interval(value=quality, low=quality - 0.01, high=quality + 0.01),
        change_of_parent=change,
        change_of_original=change,
    )


def row(label: str, state: State, speedup: float, loss: float, around: float = 0.002) -> Row:
    return Row(
        label=label,
        parent="original",
        path=f"compressed/{label}",
        version="0123456789ab",
        kind=label.rpartition("-")[2],
        state=state,
        reason="" if state == "accepted" else "NDCG@10 is <too low>",
        figures=figures(speedup, loss, around),
        facts={"rank": 16},
        tables={"Layer sensitivity": [{"layer": "encoder.0", "ndcg_loss": 0.0123456, "bits": 8}]},
        wall_s=12.3,
    )


def result(*steps: Row, **recipe: object) -> Result:
    """Return a result with these steps."""
    measure = {"candidates": list(CANDIDATES), "seconds": 2.0, "metric": "ndcg_at_10", "max_lists": None}
    original = Row(label="original", path="models/ranker", figures=figures(1.0, 0.0, 0.0))
    document = recipe_document(measure=measure, gate={"max_ndcg_loss": 0.01, "min_speedup": 1.0}, **recipe)
    return Result(
        recipe=document,
        metric="NDCG@10",
        lists=5000,
        at="2026-11-30T17:00:00+00:00",
        machine=Machine(
            cpu="A CPU", cores=2, flags=("avx2", "avx512_vnni"), versions={"onnxruntime": "1.24"}
        ),
        rows=(original, *steps),
    )
