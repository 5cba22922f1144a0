"""A rank that runs out of memory ends its group, and the other ranks answer no more batches."""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from models.architectures import build_architecture
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from services.errors import ShardLost
from tests.models.worlds import make_ranker, with_random_weights
from tests.services.sharding.running_group import TIMEOUT_S, RunningGroup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")

MIB = 1 << 20
HIDDEN = 8192
CANDIDATES = 4000
"""The hidden units for so many candidates take 125 MiB in one process, and half as much in each of two ranks."""
SPARE_BYTES = 16 * MIB

TENSOR = DeepSpeedConfig(kind="deepspeed", shards=2, timeout_s=TIMEOUT_S)
PIPELINE = AccelerateConfig(kind="accelerate", shards=2, micro_batches=1, timeout_s=TIMEOUT_S)


@pytest.fixture(params=[TENSOR, PIPELINE], ids=["tensor", "pipeline"])
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningGroup]:
    wide = build_architecture({**make_ranker().options.model_dump(), "hidden": HIDDEN})
    pair = RunningGroup(tmp_path, 2, request.param, with_random_weights(wide, 0))
    yield pair
    pair.group.close()


def limit_memory(process: psutil.Process, spare_bytes: int) -> None:
    """Limit a running process's address space to ``spare_bytes`` more than it uses now."""
    most = process.memory_info().vms + spare_bytes
    resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))


def test_a_group_is_lost_when_a_rank_runs_out_of_memory(pair: RunningGroup) -> None:
    small, large = pair.inputs((5, 1)), pair.inputs((CANDIDATES, 1))
    pair.sharded.run(small)
    short = pair.rank(1)
    limit_memory(short, SPARE_BYTES)
    pair.sharded.run(small)  # the memory is enough for this batch
    with pytest.raises(ShardLost):
        pair.sharded.run(large)
    short.wait(10)
    with pytest.raises(ShardLost):
        pair.group.check()
    with pytest.raises(ShardLost):
        pair.sharded.run(small)
