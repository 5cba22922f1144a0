"""Sizes of weights in each format."""

from pathlib import Path

from models.compress.measuring.sizes import sizes_of
from models.runtimes.precision import precisions
from models.training.export import ONNX, SAFETENSORS
from tests.models.compress.homes import model_in, write_small
from tests.models.worlds import make_catalogue, make_hyper, make_ranker


def test_size_is_that_of_the_file_that_the_runtime_loads(home: Path) -> None:
    model = model_in(home)
    graph = sizes_of(model.root, model.artifact, ".onnx")
    tensors = sizes_of(model.root, model.artifact, ".safetensors")
    assert graph.disk_bytes == (model.root / ONNX).stat().st_size
    assert tensors.disk_bytes == (model.root / SAFETENSORS).stat().st_size
    module = make_ranker()
    stored = sum(value.numel() for value in module.state_dict().values())
    assert tensors.parameters == stored
    assert 0.8 * stored < graph.parameters < 1.2 * stored
    assert sizes_of(model.root, model.artifact, None) == graph


def test_weights_that_are_constants_of_a_graph_count(tmp_path: Path) -> None:
    catalogue, module = make_catalogue(tmp_path / "catalogue"), make_hyper()
    artifact = write_small(tmp_path / "hyper", module, catalogue)
    stored = sum(value.numel() for value in module.state_dict().values())
    assert 0.5 * stored < sizes_of(tmp_path / "hyper", artifact, ".onnx").parameters < 1.2 * stored
    assert precisions(tmp_path / "hyper", artifact)[ONNX] == "float32"
