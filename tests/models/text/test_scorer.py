"""Scores equal those of transformers' own pipeline for any texts, batches and runtimes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models.artifact import Artifact
from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import FeatureSet
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.text.hugging_face import load_folder, write_text_artifact
from models.text.item_tokens import item_texts
from models.text.scorer import PairScorer, TextConfig
from models.text.tokenizer import TOKENIZER

MAX_LENGTH = 32
_WORDS = [
    "quiet",
    "forest",
    "SEA",
    "Töölönlahti",
    "café",
    "🌲",
    "loop,",
    "1952",
    "naïve",
    "path-finding",
    "中文",
    "\u200b",
]
TEXTS = [" ".join(_WORDS[(i * 7 + j * j) % len(_WORDS)] for j in range(i % 23)) or "." for i in range(40)]
_QUERY = st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join) | st.text(max_size=40)

Reference = Callable[[str, str], float]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_texts(tmp_path_factory.mktemp("texts") / "catalogue", TEXTS)


@pytest.fixture(scope="module", params=["bert-torch", "bert-onnx", "roberta-torch", "roberta-onnx"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue
) -> tuple[Callable[[RaggedBatch], np.ndarray], Reference]:
    """Return a function for our scores of a batch, and one for the score that transformers gives to a pair."""
    kind, runtime = request.param.split("-")
    folder: Path = request.getfixturevalue(f"{kind}_folder")
    root = tmp_path_factory.mktemp(kind) / "artifact"
    loaded = load_folder(folder, query="context.query", text="details.text", max_length=MAX_LENGTH)
    write_text_artifact(root, loaded.module, folder / TOKENIZER, name=kind)
    artifact = Artifact.load(root)
    running = load_runtime(root, artifact, runtime_config(kind=runtime))
    scorer = PairScorer(root, artifact.signature, catalogue, TextConfig(max_tokens=100))
    return lambda batch: scorer.scores(batch, "score", running), reference_of(folder)


@settings(max_examples=15)
@given(queries=st.lists(_QUERY, min_size=1, max_size=3), data=st.data())
def test_scores_equal_those_of_transformers(
    model: tuple[Callable[[RaggedBatch], np.ndarray], Reference],
    catalogue: Catalogue,
    queries: list[str],
    data: st.DataObject,
) -> None:
    scores_of, reference = model
    counts = [data.draw(st.integers(0, 6)) for _ in queries]
    rows = data.draw(st.lists(st.integers(0, len(TEXTS) - 1), min_size=sum(counts), max_size=sum(counts)))
    texts = list(item_texts(catalogue, "details.text", range(len(catalogue))))

    scores = scores_of(batch_of(queries, counts, rows))

    query_of_candidate = [query for query, count in zip(queries, counts, strict=True) for _ in range(count)]
    for score, query, row in zip(scores, query_of_candidate, rows, strict=True):
        expected = reference(query, texts[row])
        assert score == pytest.approx(7.0 if np.isnan(expected) else expected, abs=1e-5)


@pytest.mark.parametrize("words", [14, 28, 29, 30, 31, 35, 80])
def test_the_longer_of_two_long_texts_keeps_the_odd_token(
    model: tuple[Callable[[RaggedBatch], np.ndarray], Reference], catalogue: Catalogue, words: int
) -> None:
    scores_of, reference = model
    texts = list(item_texts(catalogue, "details.text", range(len(catalogue))))
    query, rows = " ".join(["quiet"] * words), list(range(len(TEXTS)))
    scores = scores_of(batch_of([query], [len(rows)], rows))
    assert scores == pytest.approx([reference(query, texts[row]) for row in rows], abs=1e-5)


def test_rejects_a_feature_that_is_not_a_text(
    bert_folder: Path, tmp_path: Path, catalogue: Catalogue
) -> None:
    loaded = load_folder(bert_folder, query="context.query", text="details.text", max_length=MAX_LENGTH)
    write_text_artifact(tmp_path / "a", loaded.module, bert_folder / TOKENIZER, name="a", onnx=False)
    artifact = Artifact.load(tmp_path / "a")
    scorer = PairScorer(tmp_path / "a", artifact.signature, catalogue, TextConfig())
    batch = batch_of(["x"], [1], [0]).adding(requests={"context.query": np.zeros(1, np.float32)})

    with pytest.raises(SignatureError, match=r"context\.query is not a text of this pipeline"):
        scorer.scores(batch, "score", load_runtime(tmp_path / "a", artifact, runtime_config(kind="torch")))


def reference_of(folder: Path) -> Reference:
    """Return a function for the score that transformers gives to a pair.

    It is NaN if the query has no tokens.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def score(query: str, text: str) -> float:
        if not tokenizer(query, add_special_tokens=False)["input_ids"]:
            return float("nan")
        encoded = tokenizer(
            query, text, truncation="longest_first", max_length=MAX_LENGTH, return_tensors="pt"
        )
        with torch.inference_mode():
            logits = network(**encoded).logits[0]
        return float(logits[0] if len(logits) == 1 else logits[1] - logits[0])

    return score


def batch_of(queries: list[str], counts: list[int], rows: list[int]) -> RaggedBatch:
    """Return a batch whose candidates already have a score of 7."""
    encoded = [query.encode() for query in queries]
    values = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return RaggedBatch(
        offsets=offsets_of(np.array(counts)),
        rows=np.array(rows, dtype=np.int64),
        requests={"context.query": RaggedArray(values, offsets_of(np.array([len(e) for e in encoded])))},
        candidates={"score": np.full(len(rows), 7.0, np.float32)},
    )


def write_texts(root: Path, texts: list[str]) -> Catalogue:
    """Write a catalogue whose items only have texts."""
    write_catalogue(
        root,
        name="texts",
        version="1",
        features=FeatureSet(features=()),
        ids=[f"t{i}" for i in range(len(texts))],
        columns={"number": np.arange(len(texts))},
        details=[
            json.dumps({"type": "Feature", "properties": {"text": text, "n": 1}}).encode() for text in texts
        ],
    )
    return Catalogue.open(root)
