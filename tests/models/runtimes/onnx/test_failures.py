"""Files that ONNX Runtime cannot load: the error names the cause and the remedy, and the file is unchanged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import RuntimeFailure
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx import OnnxRuntime, OnnxSession
from models.signature import OutputSpec
from tests.models.runtimes.onnx.graphs import SIGNATURE, graph_bytes, write_graph

GOOD = graph_bytes()
BAD = [
    pytest.param(b"", "No graph was found.*the file is damaged; copy the artifact again", id="empty"),
    pytest.param(b"no graph", "Protobuf parsing failed.*the file is damaged; copy", id="another format"),
    pytest.param(
        GOOD[: len(GOOD) // 2], "Protobuf parsing failed.*the file is damaged; copy", id="truncated"
    ),
    pytest.param(graph_bytes(opset=99), "Opset 99 is under development.*with an older opset", id="opset"),
    pytest.param(graph_bytes(ir_version=99), "IR version: 99.*with an older opset", id="format version"),
    pytest.param(graph_bytes("Frobnicate"), "Frobnicate.*lacks this operator; export", id="operator"),
    pytest.param(
        graph_bytes("Sum", domain="com.acme"), "com.acme:Sum.*lacks this operator; export", id="domain"
    ),
    pytest.param(graph_bytes(opset=1), r"Relu\(1\).*lacks this operator; export", id="old opset"),
    pytest.param(graph_bytes("StringNormalizer"), "Type Error.*export the model again", id="type"),
]


@pytest.mark.parametrize("is_cached", [False, True])
@pytest.mark.parametrize(("data", "fault"), BAD)
def test_error_names_cause_and_remedy_and_nothing_is_written(
    tmp_path: Path, data: bytes, fault: str, is_cached: bool
) -> None:
    path, cache = tmp_path / "model.onnx", tmp_path / "cache"
    path.write_bytes(data)
    config = OnnxConfig(graph_cache=cache if is_cached else None)
    with pytest.raises(RuntimeFailure, match=fault) as raised:
        OnnxRuntime(path, SIGNATURE, config)
    message = str(raised.value)
    assert message.count(str(path)) == 1
    assert "onnxruntime_src" not in message
    assert path.read_bytes() == data
    assert sorted(tmp_path.rglob("*")) == ([cache] if is_cached else []) + [path]


def test_rejects_a_graph_without_its_weights(tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx", weights_beside=True)
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(
        RuntimeFailure, match=r"does not exist.*model\.onnx\.data.*copy all files of the artifact"
    ):
        OnnxRuntime(tmp_path / "model.onnx", SIGNATURE)


def test_rejects_outputs_that_the_graph_lacks(tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx")
    declared = SIGNATURE.model_copy(update={"outputs": (OutputSpec(name="relevance"),)})
    with pytest.raises(RuntimeFailure, match=r"lacks the outputs \['relevance'\]"):
        OnnxRuntime(tmp_path / "model.onnx", declared)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_damaged_byte_never_raises_another_error(position: int, change: int) -> None:
    damaged = bytearray(GOOD)
    damaged[position] ^= change
    try:
        OnnxSession(bytes(damaged), "model")
    except RuntimeFailure as error:
        assert str(error).startswith("model: cannot be loaded by ONNX Runtime: ")
