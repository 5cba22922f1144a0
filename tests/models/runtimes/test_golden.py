"""Golden requests: they are written at export, and run at every load."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.artifact import GOLDEN, Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError, GoldenMismatch
from models.ragged import RaggedBatch, offsets_of
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden, golden_batch
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import runtime_config
from models.training.export import ONNX, SAFETENSORS, weight_writer
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_ranker

KINDS = ("onnx", "torch")


def write_ranker(root: Path, *, spoiled: float | None = None, golden: bool = True) -> Artifact:
    """Write a ranker. ``spoiled`` replaces all matrix weights after the golden requests are written."""
    module = make_ranker()
    signature = module.signature(FEATURES.content_hash)
    assembler = InputAssembler(signature, make_catalogue(root / "catalogue"))
    inputs = assembler(golden_batch(make_batch([70, 3, 5], [2, 0, 4])))
    write = weight_writer(module, signature, inputs if golden else None)

    def write_files(staging: Path) -> None:
        write(staging)
        if spoiled is None:
            return
        state = load_file(staging / SAFETENSORS)
        for values in state.values():
            if values.dtype == torch.float32 and values.ndim == 2:
                values[:] = spoiled
        save_file(state, staging / SAFETENSORS)
        model = onnx.load(staging / ONNX)
        for weight in model.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) == 2:
                spoilt = np.full(tuple(weight.dims), spoiled, dtype=np.float32)
                weight.CopyFrom(onnx.numpy_helper.from_array(spoilt, weight.name))
        onnx.save(model, staging / ONNX)

    return write_artifact(
        root / "model",
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=write_files,
        architecture=module.options.model_dump(mode="json"),
    )


def test_golden_batch_has_few_requests_with_few_candidates() -> None:
    lengths = [200, 3, 100, 64, 1, 70]
    batch = RaggedBatch(offsets=offsets_of(np.array(lengths)), rows=np.arange(sum(lengths)))
    some = golden_batch(batch)
    assert np.diff(some.offsets).tolist() == [64, 3, 64, 64]
    assert some.rows[:64].tolist() == list(range(64))
    assert some.rows[67] == 303
    assert len(golden_batch(batch.take(np.array([4])))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_both_runtimes_reproduce_the_golden_scores(tmp_path: Path, kind: str) -> None:
    artifact = write_ranker(tmp_path)
    assert GOLDEN in artifact.files
    config = runtime_config(kind=kind)
    assert check_golden(tmp_path / "model", artifact, load_runtime(tmp_path / "model", artifact, config))


@pytest.mark.parametrize(
    ("spoiled", "fault"), [(float("nan"), "scores are NaN or infinite"), (0.5, "from the scores at export")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_detects_nan_weights_and_changed_weights(
    tmp_path: Path, spoiled: float, fault: str, kind: str
) -> None:
    artifact = write_ranker(tmp_path, spoiled=spoiled)
    runtime = load_runtime(tmp_path / "model", artifact, runtime_config(kind=kind))
    with pytest.raises(GoldenMismatch, match=fault):
        check_golden(tmp_path / "model", artifact, runtime)


def test_rejects_an_altered_file_of_golden_requests(tmp_path: Path) -> None:
    write_ranker(tmp_path)
    with (tmp_path / "model" / GOLDEN).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"golden\.safetensors has sha256"):
        Artifact.load(tmp_path / "model")


def test_accepts_an_artifact_without_golden_requests(tmp_path: Path) -> None:
    artifact = write_ranker(tmp_path, golden=False)
    runtime = load_runtime(tmp_path / "model", artifact, OnnxConfig())
    assert not check_golden(tmp_path / "model", artifact, runtime)


def test_same_model_writes_the_same_golden_requests(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = write_ranker(tmp_path / "first")
    torch.manual_seed(1)
    assert write_ranker(tmp_path / "second").files[GOLDEN] == first.files[GOLDEN]
