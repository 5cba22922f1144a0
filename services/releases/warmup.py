"""Warm-up: every batch shape a replica will meet is run before it is called ready."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.view import FeatureView
from models.ragged import RaggedBatch, offsets_of
from services.config.pipeline import PipelineConfig
from services.errors import StageFailed
from services.releases.release import Release
from services.releases.steps import Steps
from services.scheduling.ladder import Ladder
from services.stages.base import AnyStage, RemoteStage
from services.stages.context import ContextLayout
from services.stages.query import Query
from services.stages.ranker import RankerStage
from services.stages.reranker import RerankerStage


def shape_buckets(max_candidates: int, per_request: int) -> list[int]:
    """Give the numbers of requests to warm: 1, 2, 4 … up to what a batch can hold."""
    most = max(1, max_candidates // per_request)
    return [*[1 << power for power in range(most.bit_length()) if 1 << power < most], most]


def batch_shapes(config: PipelineConfig) -> list[int]:
    """Return the numbers of requests of the batches that a replica of any unit meets."""
    largest = max(unit.batching.max_candidates for unit in config.units.values())
    return shape_buckets(largest, config.candidates.count)


def warm_steps(release: Release, config: PipelineConfig, ladders: Sequence[Ladder]) -> Steps[None]:
    """Run every local rung of the stages on each shape bucket, but models that other releases have run already.

    A step is one batch of one rung.

    Raises:
        StageFailed: a score is not a number.
    """
    per_request = config.candidates.count
    for requests in batch_shapes(config):
        batch = sample_batch(
            release.layout, release.view, len(release.catalogue), requests, per_request, release.name
        )
        if "features" not in release.stages:  # their columns come from another unit
            batch = release.custom.prepare(batch)
        for ladder in ladders:
            before = batch
            for rung in reversed(ladder.rungs):  # the first rung's batch goes on
                if not (isinstance(rung.stage, RemoteStage) or _is_warm(rung.stage)):
                    batch = rung.stage(before)
                    _check(rung.name, batch.candidates.values())
                    yield
    for scorer in release.models.values():
        scorer.is_warm = True
    if release.memory is not None:
        query = Query(b"", release.layout.encode({}), None, 0.0, 0, 1)
        release.memory([query], release.name, "late")


def sample_batch(
    layout: ContextLayout,
    view: FeatureView,
    item_count: int,
    requests: int,
    per_request: int,
    release: str = "",
) -> RaggedBatch:
    """Give a batch of unknown users in the default context, with a few words for texts and random candidates."""
    random = np.random.default_rng(0)
    contexts = [layout.sample()] * requests
    context = layout.columns(contexts)
    count = requests * per_request
    batch = RaggedBatch(
        offsets=offsets_of(np.full(requests, per_request)),
        rows=random.integers(0, item_count, count),
        requests={
            **{f"context.{name}": column for name, column in context.items()},
            **layout.texts(contexts),
        },
        # A stage that runs elsewhere here contributes zeros.
        candidates={name: np.zeros(count, dtype=np.float32) for name in ("score", "ranker")},
        release=release,
        user_keys=[b""] * requests,
    )
    return view.of_unknown_users(batch)


def _is_warm(stage: AnyStage) -> bool:
    return isinstance(stage, RankerStage | RerankerStage) and stage.scorer.is_warm


def _check(stage: str, columns: Iterable[NDArray[Any]]) -> None:
    if not all(np.isfinite(column).all() for column in columns):
        raise StageFailed(
            f"stage {stage}: scores must be finite, got NaN or infinite scores during warm-up; train the model again"
        )
