"""An ONNX graph's inputs against the inputs that a signature declares."""

from pathlib import Path

import pytest

from models.errors import RuntimeFailure
from models.runtimes.graph_inputs import GraphInput, input_faults
from models.runtimes.onnx import OnnxRuntime
from models.signature import InputSpec, Signature
from tests.pipelines import write_model

GRAPH = [
    GraphInput("price", "tensor(float)", ("n", 2)),
    GraphInput("age", "tensor(int64)", ("b",)),
    GraphInput("of", "tensor(int64)", (None,)),
]
DECLARED = {
    "price": InputSpec(name="price", source="item.price", shape=(2,)),
    "age": InputSpec(name="age", source="user.age", dtype="int64"),
    "of": InputSpec(name="of", source="batch.request_of", dtype="int64"),
}


def faults(**changes: InputSpec) -> list[str]:
    return input_faults(Signature(inputs=tuple((DECLARED | changes).values())), GRAPH)


def test_equal_inputs_have_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"age": InputSpec(name="age", source="user.age", dtype="int32")},
            ["age is declared as int32, but the graph takes int64"],
        ),
        (
            {"price": InputSpec(name="price", source="item.price", dtype="float64", shape=(2,))},
            ["price is declared as float64, but the graph takes float32"],
        ),
        (
            {"price": InputSpec(name="price", source="item.price", shape=(3,))},
            ["price is declared with the shape (candidates, 3), but the graph takes (n, 2)"],
        ),
        (
            {"age": InputSpec(name="age", source="user.age", dtype="int64", shape=(4,))},
            ["age is declared with the shape (requests, 4), but the graph takes (b)"],
        ),
        (
            {"price": InputSpec(name="prize", source="item.price", shape=(2,))},
            [
                "prize is declared, but the graph has no such input (did you mean price?)",
                "the graph takes price, which is not declared",
            ],
        ),
    ],
)
def test_each_difference_is_named(changes: dict[str, InputSpec], expected: list[str]) -> None:
    assert faults(**changes) == expected


def test_graph_that_leaves_its_axes_open_fits_every_shape() -> None:
    open_graph = [GraphInput(node.name, node.kind, ()) for node in GRAPH]
    assert input_faults(Signature(inputs=tuple(DECLARED.values())), open_graph) == []


def test_runtime_refuses_a_signature_with_another_dtype(tmp_path: Path) -> None:
    write_model(tmp_path)
    inputs = [
        InputSpec(name="value", source="item.value", dtype="float64"),
        InputSpec(name="bias", source="user.bias"),
        InputSpec(name="shift", source="context.shift"),
        InputSpec(name="request_of", source="batch.request_of", dtype="int64"),
    ]
    with pytest.raises(RuntimeFailure, match="value is declared as float64, but the graph takes float32"):
        OnnxRuntime(tmp_path / "model.onnx", Signature(inputs=tuple(inputs)))
