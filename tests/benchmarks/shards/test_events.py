"""Timelines of a pipeline: all of a batch's time is accounted for, and a real batch can be recorded."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.cases.sharding_models import bert_like
from benchmarks.pipeline_timeline import summary
from benchmarks.shards.drawing import drawing
from benchmarks.shards.events import MS, Events, RankTimes, rank_times


def events(start: int, end: int, *messages: tuple[str, int, int]) -> Events:
    return Events(
        int(start * MS),
        int(end * MS),
        [(kind == "send", int(begin * MS), int(finish * MS)) for kind, begin, finish in messages],
    )


BATCH = [
    events(0, 50, ("send", 10, 11), ("send", 21, 22), ("receive", 22, 49)),
    events(0, 46, ("receive", 0, 12), ("receive", 22, 23), ("send", 43, 45)),
]
"""Two ranks, one round and two parts. Rank 1 is as slow as rank 0, and its last receive does not wait."""


def test_the_time_of_a_rank_is_divided_into_computing_waiting_and_moving() -> None:
    assert rank_times(BATCH) == [
        RankTimes(computing=20, waiting=21, moving=8, steps=2),
        RankTimes(computing=30, waiting=10, moving=5, steps=2),
    ]


def test_a_drawing_has_a_box_for_each_part_at_each_rank() -> None:
    root = ElementTree.fromstring(drawing("a & b", BATCH))
    boxes = [box for box in root if box.tag.endswith("rect")]
    assert len(boxes) == 1 + 4  # the background comes first
    assert len({box.get("fill") for box in boxes[1:]}) == BATCH[0].parts == 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_batch_of_several_rounds_is_recorded(tmp_path: Path) -> None:
    report = summary(bert_like(tmp_path, layers=4, pairs=8), ranks=2, micro_batches=2, runs=3)
    shortest, middle, longest = report["shortest_median_longest_ms"]
    assert shortest <= middle <= longest
    for rank in report["ranks_ms"]:
        assert rank["steps"] == 4  # two rounds, with two parts each
        assert rank["computing"] > 0
        assert rank["computing"] + rank["waiting"] + rank["moving"] <= longest * 1.5
