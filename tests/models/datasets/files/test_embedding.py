import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.datasets.files.embedding import embedded
from models.datasets.files.progress import silent
from models.errors import ArtifactError
from walks.sources import ENCODER, TOKENIZER, locate


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """A folder with MiniLM."""
    shutil.copy(locate(ENCODER), tmp_path / "model.onnx")
    shutil.copy(locate(TOKENIZER), tmp_path / "tokenizer.json")
    return str(tmp_path)


def texts(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def test_similar_texts_have_similar_vectors_and_no_text_has_none(encoder: str) -> None:
    titles = texts("red wooden chair", "chair of red wood", "a film about sharks", None)
    vectors = embedded(encoder, [titles, texts(None, None, None, None)], silent)
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1.0, rtol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    assert (vectors[3] == 0).all()


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"must have model\.onnx"):
        embedded(str(tmp_path), [texts("a")], silent)
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        embedded(str(tmp_path), [texts("a")], silent)
