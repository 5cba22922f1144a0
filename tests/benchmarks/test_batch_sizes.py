"""The sweep of batch limits and micro-batches: its sizes are read and served as they were written."""

import argparse

import pytest

from benchmarks.batch_sizes import Size, parse_sizes
from benchmarks.cases.workloads import WORKLOADS
from services.config.loading import load_config


def test_reads_sizes_with_and_without_micro_batch() -> None:
    assert parse_sizes("512,1024:64") == [Size(512, None), Size(1024, 64)]
    assert ",".join(map(str, parse_sizes("512,1024:64"))) == "512,1024:64"


@pytest.mark.parametrize("text", ["", "512:", "512:0", "a", "1:2:3", "512,,64"])
def test_refuses_other_sizes_and_shows_the_form(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write sizes as 512 or 1024:64"):
        parse_sizes(text)


@pytest.mark.parametrize("micro_batch", [None, 32])
def test_the_served_pipeline_has_these_sizes(micro_batch: int | None) -> None:
    workload = WORKLOADS["dlrm"]
    with workload.config_file(Size(256, micro_batch).changes(workload)) as path:
        pipeline = load_config(path)
    assert [unit.batching.max_candidates for unit in pipeline.units.values()] == [256]
    assert [model.micro_batch_candidates for model in pipeline.models.values()] == [micro_batch]
