from pathlib import Path

import numpy as np
import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.errors import StageFailed
from services.releases.loading import load_release
from services.releases.steps import complete
from services.releases.warmup import shape_buckets, warm_steps
from services.scheduling.ladder import Ladder


@pytest.mark.parametrize(
    ("most", "each", "buckets"),
    [(1, 1, [1]), (8, 1, [1, 2, 4, 8]), (9, 1, [1, 2, 4, 8, 9]), (256, 20, [1, 2, 4, 8, 12]), (5, 20, [1])],
)
def test_buckets_double_up_to_the_largest_batch(most: int, each: int, buckets: list[int]) -> None:
    assert shape_buckets(most, each) == buckets


def test_runs_every_bucket_through_every_stage(small_home: Path) -> None:
    config = load_config(small_home / "pipeline.yaml")
    release = load_release(config, small_home, ("features", "ranker"))
    seen: list[int] = []

    class Watching:
        name = "watching"

        def __call__(self, batch: RaggedBatch) -> RaggedBatch:
            seen.append(len(batch))
            return batch

    ladders = [Ladder.from_stage(stage) for stage in (*release.stages.values(), Watching())]
    steps = [len(seen) for _ in warm_steps(release, config, ladders)]
    assert seen == [1, 2, 4, 8, 12]
    assert steps[::3] == [0, 1, 2, 3, 4]  # after each stage of each batch
    assert len(steps) == 15
    release.close()


def test_refuses_a_stage_whose_scores_are_not_finite(small_home: Path) -> None:
    class Broken:
        name = "broken"

        def __call__(self, batch: RaggedBatch) -> RaggedBatch:
            return batch.adding(candidates={"score": np.full(batch.candidate_count, np.nan)})

    config = load_config(small_home / "pipeline.yaml")
    release = load_release(config, small_home, ("features", "ranker"))
    with pytest.raises(StageFailed, match="stage broken: scores must be finite"):
        complete(warm_steps(release, config, [Ladder.from_stage(Broken())]))
    release.close()
