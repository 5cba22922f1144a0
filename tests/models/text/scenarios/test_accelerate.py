"""A Hugging Face model on memory and disk returns the same scores as in memory."""

from pathlib import Path

import pytest

from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.text.hugging_face import load_folder, write_text_artifact
from models.text.tokenizer import TOKENIZER


@pytest.mark.parametrize("folder", ["bert_folder", "roberta_folder"])
def test_golden_requests_pass_with_half_of_the_weights_on_disk(
    folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: Path = request.getfixturevalue(folder)
    loaded = load_folder(source, query="context.query", text="details.text", max_length=32)
    artifact = write_text_artifact(
        tmp_path / "model", loaded.module, source / TOKENIZER, name="text", onnx=False
    )
    sizes = [p.numel() * 4 for p in loaded.module.parameters()]
    budget = max(sizes) + 0.5 * (sum(sizes) - max(sizes))
    config = AccelerateConfig(kind="accelerate", max_memory_mib={"cpu": budget / 2**20})
    runtime = load_runtime(tmp_path / "model", artifact, config)
    assert "disk" in runtime.device_map.values()  # type: ignore[attr-defined]
    assert check_golden(tmp_path / "model", Artifact.load(tmp_path / "model"), runtime)
