"""Warm-up: before a replica is ready, it runs batches of several sizes, up to the largest that it can get."""

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
    """Return the request counts to warm: 1, 2, 4 and so on, and finally the most that fit into a batch.

    For example, a batch of at most 256 candidates with 20 per request gives [1, 2, 4, 8, 12].
    """
    largest = max(1, max_candidates // per_request)
    return [*[1 << power for power in range(largest.bit_length()) if 1 << power < largest], largest]


def batch_shapes(config: PipelineConfig) -> list[int]:
    """Return the request counts to warm, for the unit with the largest batches."""
    largest = max(unit.batching.max_candidates for unit in config.units.values())
    return shape_buckets(largest, config.candidates.count)


def warm_steps(release: Release, config: PipelineConfig, ladders: Sequence[Ladder]) -> Steps[None]:
    """Run every rung in this unit on a batch of each size. One step runs one batch on one rung.

    Models that another release has already warmed are skipped.

    Args:
        release: the release.
        config: the pipeline.
        ladders: the stages with their rungs, in the order in which a request passes them.

    Raises:
        StageFailed: a score is not finite.
    """
    per_request = config.candidates.count
    for requests in batch_shapes(config):
        batch = sample_batch(
            release.layout, release.view, len(release.catalogue), requests, per_request, release.name
        )
        if "features" not in release.stages:  # in service, the custom columns come from another unit
            batch = release.custom.prepare(batch)
        for ladder in ladders:
            incoming = batch
            for rung in reversed(ladder.rungs):  # the next stage gets the first rung's batch
                if not (isinstance(rung.stage, RemoteStage) or _is_warm(rung.stage)):
                    batch = rung.stage(incoming)
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
    """Return a batch of unknown users with random candidates. The context has default values and short texts.

    Args:
        layout: the columns of a context.
        view: the features.
        item_count: the item count in the catalogue.
        requests: the request count.
        per_request: the candidate count in each request.
        release: the release's name.
    """
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
        # Zeros in place of columns that other units compute.
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
