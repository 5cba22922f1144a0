"""``rankway models``: import a Hugging Face folder as an artifact, list it and show it."""

import os
from pathlib import Path

import pytest
import yaml

from tests.conftest import rankway
from tests.texts import write_text_model
from walks.sources import TOKENIZER, locate


@pytest.mark.slow
def test_imports_encoder_with_a_random_head_then_lists_and_shows_it(tmp_path: Path) -> None:
    environment = {**os.environ, "RANKWAY_HOME": str(tmp_path)}
    folder, out = locate(TOKENIZER).parent, tmp_path / "walks/models/text"

    rankway(environment, "models", "import", str(folder), str(out), "--name", "minilm", "--text", "details.summary",
            "--max-length", "128", "--random-head")  # fmt: skip

    assert "walks/models/text" in rankway(environment, "models", "list")
    shown = yaml.safe_load(rankway(environment, "models", "show", str(out)))
    assert shown["signature"]["pair"]["max_length"] == 128
    assert shown["lineage"]["random"] == ["classifier.bias", "classifier.weight"]
    assert set(shown["files"]) == {"golden.safetensors", "model.onnx", "model.safetensors", "tokenizer.json"}


def test_lists_artifacts_and_reports_a_damaged_one(tmp_path: Path) -> None:
    environment = {**os.environ, "RANKWAY_HOME": str(tmp_path)}
    write_text_model(tmp_path / "text")

    assert "small-text" in rankway(environment, "models", "list")
    (tmp_path / "text/model.onnx").write_bytes(b"x")
    with pytest.raises(AssertionError, match="the copy is damaged"):
        rankway(environment, "models", "show", str(tmp_path / "text"))
