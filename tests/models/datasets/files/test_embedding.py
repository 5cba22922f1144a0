import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.datasets.files import embedding
from models.datasets.files.embedding import embedded
from models.datasets.files.progress import silent
from models.datasets.files.vector_store import VectorStore
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


def store(root: Path) -> VectorStore:
    staging = root / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    return VectorStore(root / "kept", staging)


def test_only_new_texts_are_encoded_and_the_vectors_are_those_of_encoding_all(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, encoded = store(tmp_path), list[str]()
    real = embedding._encoded

    def counting(session: Any, tokenizer: Any, some: list[str], folder: str) -> Any:
        encoded.extend(some)
        return real(session, tokenizer, some, folder)

    monkeypatch.setattr(embedding, "_encoded", counting)
    first = texts("red wooden chair", None, "lamp", "lamp")
    embedded(encoder, [first], silent, kept)
    assert sorted(encoded) == [" ", "lamp", "red wooden chair"]
    encoded.clear()
    more = texts("a film about sharks and the sea", "lamp", None, "red wooden chair")
    vectors = embedded(encoder, [more], silent, kept)
    assert encoded == ["a film about sharks and the sea"]
    assert vectors.tobytes() == embedded(encoder, [more], silent).tobytes()
    encoded.clear()
    assert embedded(encoder, [more], silent, kept).tobytes() == vectors.tobytes()
    assert encoded == []
    (Path(encoder) / "tokenizer.json").touch()  # perhaps another encoder
    embedded(encoder, [texts("lamp")], silent, kept)
    assert encoded == ["lamp"]
    assert len(list(kept.root.iterdir())) == 1


def test_a_stopped_encoding_continues_and_damaged_vectors_are_computed_again(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_BATCH", 2)
    monkeypatch.setattr(embedding, "_KEPT_TOGETHER", 4)
    column = texts(*(f"chair {'and lamp ' * number}" for number in range(10)))

    def stopping(what: str, done: int, total: int, note: str = "") -> None:
        if done == 6:
            raise KeyboardInterrupt

    kept, counts = store(tmp_path), list[int]()
    with pytest.raises(KeyboardInterrupt):
        embedded(encoder, [column], stopping, kept)

    def counting(what: str, done: int, total: int, note: str = "") -> None:
        counts.append(total)

    vectors = embedded(encoder, [column], counting, kept)
    assert set(counts) == {6}
    counts.clear()
    (path,) = kept.root.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert embedded(encoder, [column], counting, kept).tobytes() == vectors.tobytes()
    assert set(counts) == {10}
    kept.clear()
    assert not list(kept.root.iterdir())
