"""Writes a trained module as an artifact's files: safetensors for PyTorch, and an ONNX graph for ONNX Runtime.

Also writes the golden requests, with the module's own scores.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.jit._trace import TracerWarning

from models.architectures.base import Architecture, EncodesHistory
from models.runtimes.golden import write_golden
from models.runtimes.pytorch.by_position import ByPosition, example_inputs
from models.signature import ENCODED_HISTORY, Inputs, Signature

SAFETENSORS = "model.safetensors"
ONNX = "model.onnx"
OPSET = 20


def weight_writer(
    module: Architecture, signature: Signature, golden: Inputs | None = None, *, onnx: bool = True
) -> Callable[[Path], None]:
    """Return the function that writes a module's files into an artifact's folder.

    Args:
        module: the trained module.
        signature: the module's signature.
        golden: inputs for the golden requests. None: no golden requests.
        onnx: whether to write the ONNX graph as well as the safetensors file.
    """

    def write(root: Path) -> None:
        module.eval()
        save_file({name: t.contiguous() for name, t in module.state_dict().items()}, root / SAFETENSORS)
        if onnx:
            export_onnx(module, signature, root / ONNX)
        if golden is not None:
            write_golden(root, golden, outputs_of(module, signature, golden))

    return write


def outputs_of(module: Architecture, signature: Signature, inputs: Inputs) -> Inputs:
    """Return the module's outputs by name."""
    with torch.inference_mode():
        scores: Tensor = module({name: torch.from_numpy(values) for name, values in inputs.items()})
    return {signature.outputs[0].name: scores.numpy()}


def export_onnx(module: Architecture, signature: Signature, path: Path) -> None:
    """Write the module as an ONNX graph whose leading axes all have dynamic sizes.

    It uses torch's TorchScript-based exporter. Graphs from the newer exporter run no faster for these
    modules, and exporting takes 10 s instead of 0.3 s, which would be most of a small training.
    """
    module = module.for_export()
    names = [spec.name for spec in signature.inputs]
    encodes = isinstance(module, EncodesHistory)
    positional = (_WithHistory if encodes else ByPosition)(module, signature)
    axes = {spec.name: dict(enumerate(signature.axes(spec))) for spec in signature.inputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)  # shapes that are not inferred, which is harmless
        warnings.simplefilter("ignore", TracerWarning)  # shape checks in Hugging Face models
        torch.onnx.export(
            positional.eval(),  # the exporter restores this mode, which would else be training
            example_inputs(signature),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=[signature.outputs[0].name, *([ENCODED_HISTORY] if encodes else [])],
            dynamic_axes=axes,
        )
    if encodes:
        _keep_inside(path)


def _keep_inside(path: Path) -> None:
    """Turn the encoded history from a graph output into an inner value.

    It was exported as an output only to get a name.
    """
    import onnx

    model = onnx.load(path)
    model.graph.value_info.append(model.graph.output.pop())
    onnx.save(model, path)


class _WithHistory(ByPosition):
    """Returns the encoded history as a second output."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        module, inputs = self.module, self.named(tensors)
        assert isinstance(module, EncodesHistory)
        encoded = module.encode(inputs)
        return module.score(inputs, encoded), encoded
