"""Export: the files of an artifact, with dynamic sizes for all leading axes."""

from pathlib import Path

import onnx
from safetensors.numpy import load_file

from models.training.export import ONNX, SAFETENSORS, weight_writer
from tests.models.worlds import make_ranker


def test_writes_both_files_with_dynamic_leading_axes(tmp_path: Path) -> None:
    model = make_ranker()
    signature = model.signature("")
    weight_writer(model, signature)(tmp_path)
    assert set(load_file(tmp_path / SAFETENSORS)) == set(model.state_dict())
    graph = onnx.load(str(tmp_path / ONNX)).graph
    assert [value.name for value in graph.output] == ["score"]
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    assert shapes == {spec.name: [*signature.axes(spec), *spec.shape] for spec in signature.inputs}
