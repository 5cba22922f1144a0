"""PyTorch errors, and the errors that the runtime raises for them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures.base import Architecture
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import OutOfMemory, RuntimeFailure
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.pytorch.eager import FAULTS, TorchRuntime, failure
from models.signature import Inputs
from models.training.export import SAFETENSORS, weight_writer
from tests.models.worlds import FEATURES, make_batch, make_pooled, make_ranker


def write_model(root: Path, module: Architecture) -> Artifact:
    signature = module.signature(FEATURES.content_hash)
    return write_artifact(
        root,
        name="model",
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, onnx=False),
        architecture=module.options.model_dump(mode="json"),
    )


def inputs_of(artifact: Artifact, catalogue: Catalogue, lengths: list[int], past: list[int]) -> Inputs:
    return InputAssembler(artifact.signature, catalogue)(make_batch(lengths, past))


def test_ranker_in_bfloat16_scores_almost_the_same(tmp_path: Path, catalogue: Catalogue) -> None:
    artifact = write_model(tmp_path / "ranker", make_ranker())
    inputs = inputs_of(artifact, catalogue, [9, 30, 1], [8, 3, 0])
    wide, narrow = (
        load_runtime(tmp_path / "ranker", artifact, TorchConfig(dtype=dtype)) for dtype in ("fp32", "bf16")
    )
    wanted, got = wide.run(inputs)["score"], narrow.run(inputs)["score"]
    assert got.dtype == np.float32
    assert 0 < np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()


def test_refuses_bfloat16_for_other_models(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "pooled", make_pooled())
    with pytest.raises(
        RuntimeFailure, match=r"runtime\.dtype: bf16 is only for history_ranker, got pooled_ranker"
    ):
        load_runtime(tmp_path / "pooled", artifact, TorchConfig(dtype="bf16"))


@pytest.mark.parametrize(
    ("lengths", "past"),
    [([4, 4], [8, 8]), ([4, 4], [8, 2]), ([3, 70], [8, 8]), ([5], [0]), ([2, 2, 2], [0, 0, 0])],
)
def test_form_for_gpus_scores_the_same(
    tmp_path: Path, catalogue: Catalogue, lengths: list[int], past: list[int]
) -> None:
    artifact = write_model(tmp_path / "ranker", make_ranker())
    inputs = inputs_of(artifact, catalogue, lengths, past)
    runtime = TorchRuntime(tmp_path / "ranker" / SAFETENSORS, artifact, threads=1)
    wanted = runtime.run(inputs)["score"]
    runtime.to_gpu_form()
    np.testing.assert_allclose(runtime.run(inputs)["score"], wanted, atol=1e-5, rtol=1e-5)


def test_distinguishes_a_failed_allocation_from_unsuitable_inputs() -> None:
    with pytest.raises(FAULTS) as short:
        torch.empty(1 << 50, dtype=torch.uint8)
    with pytest.raises(FAULTS) as misshapen:
        torch.ones(2) @ torch.ones(3)
    assert isinstance(failure({}, short.value), OutOfMemory)
    assert isinstance(failure({}, MemoryError()), OutOfMemory)
    assert not isinstance(failure({}, misshapen.value), OutOfMemory)
