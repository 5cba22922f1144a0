from pathlib import Path

import numpy as np
import pytest

from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.errors import StageFailed
from services.releases.release import Release
from services.releases.warmup import shape_buckets, warm
from services.scheduling.ladder import Ladder


@pytest.mark.parametrize(
    ("most", "each", "buckets"),
    [(1, 1, [1]), (8, 1, [1, 2, 4, 8]), (9, 1, [1, 2, 4, 8, 9]), (256, 20, [1, 2, 4, 8, 12]), (5, 20, [1])],
)
def test_buckets_double_up_to_what_a_batch_holds(most: int, each: int, buckets: list[int]) -> None:
    assert shape_buckets(most, each) == buckets


def test_every_bucket_goes_through_every_stage(small_home: Path) -> None:
    config = load_config(small_home / "pipeline.yaml")
    release = Release(config, small_home, ("features", "ranker"))
    seen: list[int] = []

    class Watching:
        name = "watching"

        def __call__(self, batch: RaggedBatch) -> RaggedBatch:
            seen.append(len(batch))
            return batch

    rests: list[int] = []
    ladders = [Ladder.from_stage(stage) for stage in (*release.stages.values(), Watching())]
    warm(release, config, ladders, lambda: rests.append(len(seen)))
    assert seen == [1, 2, 4, 8, 12]
    assert rests[::3] == [0, 1, 2, 3, 4]  # after each stage of each batch
    assert len(rests) == 15
    release.close()


def test_a_model_that_gives_no_numbers_is_not_served(small_home: Path) -> None:
    class Broken:
        name = "broken"

        def __call__(self, batch: RaggedBatch) -> RaggedBatch:
            return batch.adding(candidates={"score": np.full(batch.candidate_count, np.nan)})

    config = load_config(small_home / "pipeline.yaml")
    release = Release(config, small_home, ("features", "ranker"))
    with pytest.raises(StageFailed, match="stage broken gives scores that are not numbers"):
        warm(release, config, [Ladder.from_stage(Broken())])
    release.close()
