"""Pipelines of ranks. They are started once for all tests that do not end them."""

from collections.abc import Iterator

import pytest

from models.runtimes.kinds.accelerate import AccelerateConfig
from tests.models.text.crossencoders import LAYERS
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, deep_ranker


@pytest.fixture(
    scope="session",
    params=[1, 2, pytest.param(4, marks=pytest.mark.slow)],
    ids=lambda shards: f"{shards} ranks",
)
def pipeline(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningGroup]:
    """A pipeline of ranks with a small ranker, and the same ranker in one process."""
    config = AccelerateConfig(kind="accelerate", shards=request.param, micro_batches=3, timeout_s=TIMEOUT_S)
    running = RunningGroup(tmp_path_factory.mktemp("pipelines"), request.param, config, deep_ranker(LAYERS))
    yield running
    running.group.close()
