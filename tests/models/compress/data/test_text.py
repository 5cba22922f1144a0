"""The lists of a text ranker: read for steps, scored as in serving, and compressed by real steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact import Artifact
from models.compress.data.text import TextData
from models.compress.steps.base import Model, Work
from models.compress.steps.registry import STEPS
from models.datasets.files.progress import silent
from models.errors import ArtifactError, CompressionError
from models.features.catalogue import Catalogue
from models.impressions import write_impressions
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from models.text.hugging_face import write_text_artifact
from models.text.tokenizer import TOKENIZER
from tests.models.text.crossencoders import bert
from tests.models.text.test_scorer import TEXTS, write_texts
from walks.sources import TOKENIZER as TOKENIZER_FILE
from walks.sources import locate

HASH = "0123456789abcdef"
LISTS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("texts")
    catalogue = write_texts(home / "catalogue", TEXTS)
    module = bert(vocab_size=30_522, num_hidden_layers=2)
    write_text_artifact(home / "text", module, locate(TOKENIZER_FILE), name="text")  # type: ignore[arg-type]
    for seed, split in enumerate(("train", "valid")):
        write_lists(home / "lists" / split, catalogue, seed)
    return home


def write_lists(root: Path, catalogue: Catalogue, seed: int, lists: int = LISTS) -> None:
    random = np.random.default_rng(seed)
    texts = [TEXTS[i].encode() for i in random.integers(5, len(TEXTS), lists)]
    column = RaggedArray(
        np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(np.array([len(t) for t in texts]))
    )
    rows = random.integers(0, len(TEXTS), lists * 5)
    batch = RaggedBatch(offsets_of(np.full(lists, 5)), rows, requests={"context.query": column})
    labels = random.random(lists * 5, dtype=np.float32)
    write_impressions(root, batch, labels, feature_hash=HASH, keys=catalogue.keys[rows])


def data_in(home: Path, lists: str = "lists", feature_hash: str = HASH) -> TextData:
    return TextData(
        home / lists,
        feature_hash,
        home / "catalogue",
        text_in(home),
        cache=home / "scores",
        progress=silent,
    )


def text_in(home: Path) -> Model:
    return Model(home / "text", Artifact.load(home / "text"))


def test_select_and_report_are_the_halves_of_the_validation_lists(home: Path) -> None:
    data, signature = data_in(home), text_in(home).artifact.signature
    train, select, report = (data.lists(split, signature) for split in ("train", "select", "report"))
    assert (len(train), len(select), len(report)) == (LISTS, LISTS // 2, LISTS // 2)
    assert (data.labels().labels == report.labels).all()
    assert len(data.lists("train", signature, 4)) == 4


def test_scores_of_a_request_are_those_of_the_lists(home: Path) -> None:
    data, text = data_in(home), text_in(home)
    taught = data.taught(text, "report", text.artifact.signature)
    assert taught.batch.candidates["score"] == pytest.approx(data.scores(text), abs=1e-5)
    (calls, *_) = data.requests(text.artifact.signature, 7, 3)
    assert sum(len(call["input_ids"]) for call in calls) == 7


def test_teacher_with_scores_that_are_no_numbers_is_refused(home: Path) -> None:
    module = bert(vocab_size=30_522, num_hidden_layers=1)
    torch.nn.init.constant_(list(module.parameters())[-1], float("nan"))
    write_text_artifact(home / "broken", module, locate(TOKENIZER_FILE), name="broken")  # type: ignore[arg-type]
    teacher = Model(home / "broken", Artifact.load(home / "broken"))
    with pytest.raises(
        CompressionError, match=r"teacher broken .*: its scores of lists must be finite, got NaN"
    ):
        data_in(home).taught(teacher, "train", teacher.artifact.signature)


def test_key_changes_with_the_lists(home: Path, tmp_path: Path) -> None:
    catalogue = Catalogue.open(home / "catalogue")
    for split in ("train", "valid"):
        write_lists(home / "others" / split, catalogue, 9)
    assert data_in(home).key == data_in(home).key != data_in(home, "others").key


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "prune", "heads": 0.5, "tune": None},
        {"kind": "prune", "hidden": 0.5, "lists": 4, "tune": {"max_lists": 8, "lists_per_step": 4}},
        {"kind": "low_rank", "energy": 0.999, "tune": None},
        {"kind": "tune", "max_lists": 8, "lists_per_step": 4, "learn_from": "original"},
        {"kind": "quantize"},
        {"kind": "quantize", "mode": "embeddings"},
    ],
    ids=lambda options: "-".join([options["kind"], *list(options)[1:2]]),
)
def test_steps_write_a_child_that_scores_texts(
    home: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    data, text = data_in(home), text_in(home)
    kind = STEPS.get(str(options["kind"]))
    work = Work(text, data, tmp_path / "scratch", "key", silent)

    kind.run(kind.config.model_validate(options), text, tmp_path / "child", work)

    child = Model(tmp_path / "child", Artifact.load(tmp_path / "child"))
    assert TOKENIZER in child.artifact.files
    scores = data.scores(child)
    assert np.isfinite(scores).all()
    assert np.corrcoef(scores, data.scores(text))[0, 1] > 0.3


def test_refuses_lists_that_do_not_fit(home: Path, tmp_path: Path) -> None:
    write_lists(home / "single" / "valid", Catalogue.open(home / "catalogue"), 1, lists=1)
    with pytest.raises(CompressionError, match="validation lists: expected at least 2, got 1"):
        data_in(home, "single").labels()
    with pytest.raises(ArtifactError, match="no impressions at"):
        data_in(home, "nowhere").labels()
    with pytest.raises(ArtifactError, match="feature hash"):
        data_in(home, feature_hash="f" * 16).labels()
