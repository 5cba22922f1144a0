"""DLRM artifacts: the same weights as an ONNX graph and as safetensors."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.architectures.dlrm import Dlrm
from models.architectures.options import DlrmOptions
from models.artifact import Artifact, write_artifact
from models.runtimes.golden import write_golden
from models.signature import Inputs
from models.training.export import outputs_of

_EXAMPLE_REQUESTS, _EXAMPLE_CANDIDATES = 2, 6


class _ByPosition(nn.Module):
    """Takes inputs by position, as the exporter names them, and passes them to the model by name."""

    def __init__(self, model: Dlrm) -> None:
        super().__init__()
        self.model = model
        self.names = [spec.name for spec in model.signature("").inputs]

    def forward(self, *values: Tensor) -> Tensor:
        score: Tensor = self.model(dict(zip(self.names, values, strict=True)))
        return score


def write_dlrm(root: Path, name: str, options: DlrmOptions, feature_hash: str, *, seed: int) -> None:
    """Write an artifact with random weights at ``root``."""
    torch.manual_seed(seed)
    lineage = {"weights": "random", "seed": seed}
    write_module(root, name, Dlrm(options).eval(), feature_hash, _golden(options, seed), lineage=lineage)


def write_module(
    root: Path,
    name: str,
    model: Dlrm,
    feature_hash: str,
    golden: Inputs,
    *,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
) -> Artifact:
    """Write the artifact at ``root``: ONNX, and the same weights as safetensors for the torch runtime."""
    signature = model.signature(feature_hash)

    def write_files(staging: Path) -> None:
        _export(model, staging / "model.onnx")
        save_file(model.state_dict(), staging / "model.safetensors")
        write_golden(staging, golden, outputs_of(model, signature, golden))

    return write_artifact(
        root,
        name=name,
        signature=signature,
        weights="model.onnx",
        write_files=write_files,
        architecture=model.options.model_dump(),
        metrics=metrics,
        lineage=lineage,
    )


def _golden(options: DlrmOptions, seed: int) -> Inputs:
    random = np.random.default_rng(seed)
    dense_rows = _EXAMPLE_REQUESTS if options.dense_per_request else _EXAMPLE_CANDIDATES
    inputs: Inputs = {
        "dense": random.normal(size=(dense_rows, options.dense)).astype(np.float32),
        "sparse": random.integers(0, options.rows, (_EXAMPLE_CANDIDATES, options.fields)),
    }
    if options.dense_per_request:
        inputs["request_of"] = np.repeat([0, 1], _EXAMPLE_CANDIDATES // _EXAMPLE_REQUESTS)
    return inputs


def _export(model: Dlrm, path: Path) -> None:
    wrapped = _ByPosition(model).eval()
    options = model.options
    candidates = torch.export.Dim("candidates")
    dense_rows = _EXAMPLE_REQUESTS if options.dense_per_request else _EXAMPLE_CANDIDATES
    example = {
        "dense": torch.zeros(dense_rows, options.dense),
        "sparse": torch.zeros(_EXAMPLE_CANDIDATES, options.fields, dtype=torch.int64),
        "request_of": torch.zeros(_EXAMPLE_CANDIDATES, dtype=torch.int64),
    }
    dense_axis = torch.export.Dim("requests") if options.dense_per_request else candidates
    axes = {"dense": {0: dense_axis}, "sparse": {0: candidates}, "request_of": {0: candidates}}
    # The table is a file beside the graph, so that all replicas on a machine map one copy of it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about deprecations in its own code
        torch.onnx.export(
            wrapped,
            tuple(example[name] for name in wrapped.names),
            str(path),
            input_names=wrapped.names,
            output_names=["score"],
            dynamic_shapes=(tuple(axes[name] for name in wrapped.names),),
            external_data=True,
            dynamo=True,
            verbose=False,
        )
