"""Reading single tensors of a safetensors file into given memory."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from models.errors import ArtifactError
from models.runtimes.dispatch.stored_tensors import StoredTensors
from models.runtimes.dispatch.weight_memory import WeightMemory, aligned_bytes

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
SHAPES = st.lists(st.integers(0, 9), max_size=3).map(tuple)
TENSORS = st.lists(st.tuples(SHAPES, st.sampled_from(DTYPES)), min_size=1, max_size=5)


@given(tensors=TENSORS, seed=st.integers(0, 1000))
def test_tensors_are_read_as_they_were_saved_into_memory_of_their_size(
    tmp_path_factory: pytest.TempPathFactory, tensors: list[tuple[tuple[int, ...], torch.dtype]], seed: int
) -> None:
    torch.manual_seed(seed)
    path = tmp_path_factory.mktemp("stored") / "model.safetensors"
    saved = {f"t{n}": (10 * torch.randn(shape)).abs().to(dtype) for n, (shape, dtype) in enumerate(tensors)}
    save_file(saved, path)
    file, memory = StoredTensors(path), WeightMemory(aligned_bytes(tensors))
    read = {name: memory.take(tuple(each.shape), each.dtype) for name, each in saved.items()}
    for name, target in read.items():
        file.read(name, target)
    assert all(torch.equal(read[name], each) for name, each in saved.items())
    assert all(each.data_ptr() % 64 == 0 for each in read.values() if each.numel())


def test_a_tensor_of_another_dtype_is_converted(tmp_path: Path) -> None:
    saved = torch.randn(300, 1001)  # converted in several steps
    save_file({"weight": saved}, tmp_path / "model.safetensors")
    narrow = torch.empty(saved.shape, dtype=torch.bfloat16)
    StoredTensors(tmp_path / "model.safetensors").read("weight", narrow)
    assert torch.equal(narrow, saved.bfloat16())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 64, (2).to_bytes(8, "little") + b"[]"])
def test_rejects_a_file_that_is_not_safetensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as safetensors"):
        StoredTensors(tmp_path / "model.safetensors")
