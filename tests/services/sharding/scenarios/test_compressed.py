"""Pruned and factorised rankers over two ranks: scores as in one process, or a refusal that names the heads."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.errors import RuntimeFailure
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from tests.models.text.crossencoders import bert
from tests.models.worlds import RANKER, with_random_weights
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup, assert_same, written

pytestmark = pytest.mark.slow
SHAPES = ([(5, 3), (1, 0), (40, 8)], [(130, 2)])


def compressed(heads: int = 2) -> Architecture:
    """Return a ranker of two layers. The first has fewer heads and hidden units, and both have factorised layers."""
    width = heads * RANKER.width // 4
    sizes: dict[str, dict[str, int]] = {
        **{f"layers.0.{name}_proj": {"outputs": width} for name in "qv"},
        "layers.0.k_proj": {"outputs": width, "rank": 3},
        "layers.0.o_proj": {"inputs": width, "rank": 2},
        "layers.0.up_proj": {"outputs": 10},
        "layers.0.down_proj": {"inputs": 10},
        "layers.1.up_proj": {"rank": 5},
        "layers.1.down_proj": {"rank": 4},
        "item_proj": {"rank": 3},
    }
    options: dict[str, Any] = {**RANKER.model_dump(mode="json"), "heads": 4, "linears": sizes}
    return with_random_weights(build_architecture(options), 2)


def one_headed() -> Architecture:
    """Return a ranker whose first layer has one head."""
    return compressed(heads=1)


def compressed_text() -> Architecture:
    """Return a BERT with one factorised layer."""
    linears = {"model.bert.encoder.layer.0.intermediate.dense": {"rank": 4}}
    return build_architecture({**bert().options.model_dump(mode="json"), "linears": linears})


@pytest.fixture(scope="module", params=["deepspeed", "accelerate"])
def running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningGroup]:
    config = (
        DeepSpeedConfig(kind="deepspeed", shards=2, timeout_s=TIMEOUT_S)
        if request.param == "deepspeed"
        else AccelerateConfig(kind="accelerate", shards=2, timeout_s=TIMEOUT_S)
    )
    running = RunningGroup(tmp_path_factory.mktemp("shards"), 2, config, compressed())
    yield running
    running.group.close()


def test_scores_equal_those_of_one_process(running: RunningGroup) -> None:
    for shapes in SHAPES:
        inputs = running.inputs(*shapes)
        assert_same(running.sharded.run(inputs), running.whole.run(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_headed, "must divide the 1 attention heads, got 2"),
        (compressed_text, "a pruned or factorised text model cannot be split by heads"),
    ],
)
def test_models_that_cannot_be_split_by_heads_are_refused(
    running: RunningGroup, make: Callable[[], Architecture], message: str
) -> None:
    if running.config.kind != "deepspeed":
        pytest.skip("a pipeline splits no heads")
    artifact = written(running.root, make(), "refused")
    with pytest.raises(RuntimeFailure, match=message):
        running.group.load_runtime(running.root / "refused", artifact, running.config)
