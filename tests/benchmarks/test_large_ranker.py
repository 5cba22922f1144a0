"""The figures of a ranker with random weights, on the tiny world."""

from pathlib import Path

import pytest

from benchmarks.large_ranker import measure, table
from models.architectures.options import Size
from services.config.loading import load_config


@pytest.mark.slow
def test_int8_is_smaller_than_float32(tiny_home: Path) -> None:
    size = Size(width=64, heads=2, layers=2, hidden=256)
    float32, int8 = measure(load_config(tiny_home / "walks.yaml"), tiny_home, size, [5, 10], seconds=0.05)
    assert int8.disk_mib < 0.6 * float32.disk_mib
    assert float32.of_float32 == {5: 1.0, 10: 1.0}
    assert all(each.calls[10] >= 8 and each.p50_ms[10] <= each.p99_ms[10] for each in (float32, int8))
    assert table([float32, int8]).startswith("RANDOM weights")
