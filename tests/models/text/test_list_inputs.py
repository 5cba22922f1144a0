"""A text ranker's inputs for whole lists give the scores of serving, in the order of the candidates."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifact import Artifact
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.text.hugging_face import load_folder, write_text_artifact
from models.text.list_inputs import PairAssembler
from models.text.scorer import PairScorer, TextConfig
from models.text.tokenizer import TOKENIZER
from tests.models.text.test_scorer import MAX_LENGTH, TEXTS, batch_of, write_texts


def test_scores_are_those_of_serving_in_the_order_of_the_candidates(
    bert_folder: Path, tmp_path: Path
) -> None:
    catalogue = write_texts(tmp_path / "catalogue", TEXTS)
    loaded = load_folder(bert_folder, query="context.query", text="details.text", max_length=MAX_LENGTH)
    root = tmp_path / "artifact"
    write_text_artifact(root, loaded.module, bert_folder / TOKENIZER, name="bert")
    artifact = Artifact.load(root)
    batch = batch_of(["quiet forest", "", "café by the SEA"], [4, 2, 3], [7, 0, 22, 3, 5, 6, 11, 30, 1])

    assemble = PairAssembler(root, artifact.signature, catalogue)
    inputs = assemble(batch)
    scores = loaded.module({name: torch.from_numpy(values) for name, values in inputs.items()})

    runtime = load_runtime(root, artifact, runtime_config(kind="torch"))
    served = PairScorer(root, artifact.signature, catalogue, TextConfig()).scores(batch, "score", runtime)
    with_query = np.array([0, 1, 2, 3, 6, 7, 8])
    assert {values.shape[0] for values in inputs.values()} == {9}
    assert scores.detach().numpy()[with_query] == pytest.approx(served[with_query], abs=1e-5)
    assert (inputs["attention_mask"][4:6] == 0).all()
    assert assemble.flatten({"score": served}, batch)["score"] is served


def test_batch_without_any_query_has_padding_only(bert_folder: Path, tmp_path: Path) -> None:
    catalogue = write_texts(tmp_path / "catalogue", TEXTS)
    loaded = load_folder(bert_folder, query="context.query", text="details.text", max_length=MAX_LENGTH)
    write_text_artifact(tmp_path / "artifact", loaded.module, bert_folder / TOKENIZER, name="bert")
    assemble = PairAssembler(tmp_path / "artifact", loaded.module.signature(""), catalogue)

    batch: RaggedBatch = batch_of([""], [2], [7, 0])

    assert all((values == 0).all() and values.shape == (2, 1) for values in assemble(batch).values())
