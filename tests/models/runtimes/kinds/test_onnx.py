"""The options of ``kind: onnx``: combinations that cannot work are rejected."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.runtimes.kinds.registry import runtime_config

REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"providers": []}, "at least 1 item"),
    ({"providers": ["rocm"]}, "'cpu', 'cuda' or 'tensorrt'"),
    ({"providers": ["cuda", "cuda"]}, "each provider once, got cuda, cuda; remove the duplicates"),
    ({"providers": ["cpu", "cuda"]}, "expected cpu last.*got cpu, cuda; move cpu to the end"),
    ({"graph_cache": "cache"}, "expected an absolute path, got 'cache'; name a folder"),
    (
        {"graph_cache": "/cache", "providers": ["cuda", "cpu"]},
        "only graphs for the CPU, got providers: cuda; remove",
    ),
    (
        {"execution_mode": "parallel"},
        "parallel needs several threads, got threads: 1; set threads to 2 or more",
    ),
    (
        {"execution_mode": "parallel", "threads": 2, "providers": ["tensorrt", "cuda"]},
        "must be sequential on a GPU, got parallel with providers: tensorrt, cuda; remove execution_mode",
    ),
    ({"graph_optimization_level": "most"}, "'disabled', 'basic', 'extended', 'layout' or 'all'"),
]


@pytest.mark.parametrize(("options", "fault"), REJECTED)
def test_rejects_options_that_cannot_work(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        runtime_config(kind="onnx", **options)


def test_options_survive_the_way_through_json() -> None:
    config = runtime_config(kind="onnx", graph_cache="/var/cache/rankway", providers=["cpu"], io_binding=True)
    assert runtime_config(**config.model_dump(mode="json")) == config
