"""Pipelines of ranks. They are started once for all tests that do not end them."""

from collections.abc import Iterator

import pytest

from models.runtimes.kinds.accelerate import AccelerateConfig
from tests.models.text.crossencoders import LAYERS
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, deep_ranker


@pytest.fixture(
    scope="package",
    params=[
        (1, None),
        (2, None),
        pytest.param((2, "gloo"), marks=pytest.mark.slow),
        pytest.param((4, None), marks=pytest.mark.slow),
    ],
    ids=["1 rank", "2 ranks", "2 ranks over gloo", "4 ranks"],
)
def pipeline(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningGroup]:
    """A pipeline of ranks with a small ranker, and the same ranker in one process."""
    shards, transport = request.param
    config = AccelerateConfig(
        kind="accelerate", shards=shards, micro_batches=3, timeout_s=TIMEOUT_S, transport=transport
    )
    running = RunningGroup(tmp_path_factory.mktemp("pipelines"), shards, config, deep_ranker(LAYERS))
    yield running
    running.group.close()
