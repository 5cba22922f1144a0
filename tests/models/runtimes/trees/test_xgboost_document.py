"""Damage in XGBoost's JSON is found before XGBoost reads it, because it would end the process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ArtifactError, RuntimeFailure
from models.runtimes.trees.xgboost import XgboostRuntime
from models.runtimes.trees.xgboost_document import checked_learner
from tests.models.runtimes.trees.models import rows, signature, xgboost_json

Change = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Changes the model's part ``gradient_booster.model``, or its first tree."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return xgboost_json(
        tmp_path_factory.mktemp("model") / "m.json", categorical=True, max_depth=4
    ).read_text()


@pytest.fixture(scope="module")
def ubjson(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return xgboost_json(
        tmp_path_factory.mktemp("model") / "m.ubj", categorical=True, max_depth=4
    ).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model, tree: tree["left_children"].__setitem__(0, 99999), "its nodes are no tree"),
        (lambda model, tree: tree["left_children"].__setitem__(0, -5), "its nodes are no tree"),
        (lambda model, tree: tree["right_children"].__setitem__(0, 0), "its nodes are no tree"),
        (lambda model, tree: tree["right_children"].__setitem__(0, 1), "its nodes are no tree"),
        (lambda model, tree: tree["right_children"].pop(), "right_children has"),
        (lambda model, tree: tree["left_children"].__setitem__(0, "a"), "must have whole numbers"),
        (lambda model, tree: tree["split_indices"].__setitem__(0, 5), "split_indices must be below 5"),
        (lambda model, tree: tree["split_conditions"].pop(), "split_conditions has"),
        (lambda model, tree: tree["default_left"].pop(), "default_left has"),
        (lambda model, tree: tree.pop("parents"), "parents is missing"),
        (lambda model, tree: tree["categories_segments"].__setitem__(0, 9999), "a category set that is not"),
        (lambda model, tree: tree["categories_nodes"].__setitem__(0, 0), "name the categorical splits"),
        (lambda model, tree: tree["categories"].__setitem__(0, -1), "a category is out of range"),
        (lambda model, tree: model["trees"].pop(), "num_trees is not the number"),
        (lambda model, tree: model["trees"].clear(), "the model has no trees"),
        (lambda model, tree: model["tree_info"].__setitem__(0, 1), "a second score"),
        (lambda model, tree: model["iteration_indptr"].__setitem__(1, 99), "iteration_indptr must rise"),
    ],
)
def test_a_damaged_tree_is_refused(text: str, change: Change, message: str) -> None:
    document = json.loads(text)
    model = document["learner"]["gradient_booster"]["model"]
    tree = next(tree for tree in model["trees"] if tree["categories_nodes"] and tree["categories_nodes"][0])
    change(model, tree)
    with pytest.raises(ArtifactError, match=message):
        checked_learner(json.dumps(document).encode(), "m")


@given(
    at=st.integers(min_value=0), number=st.sampled_from(["-1", "0", "77777", "2147483648", "1e300", "x", ""])
)
@settings(max_examples=100, deadline=None)
def test_no_changed_number_ends_the_process(
    tmp_path_factory: pytest.TempPathFactory, text: str, at: int, number: str
) -> None:
    parts = text.split(",")
    parts[at % len(parts)] = number
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_text(",".join(parts))
    try:
        XgboostRuntime(path, signature(), threads=1).run({"features": rows(50)})
    except RuntimeFailure as error:
        assert "changed.json" in str(error)  # a changed leaf is no error)


@given(seed=st.integers(0, 1 << 30), cut=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_changed_byte_of_ubjson_ends_the_process(
    tmp_path_factory: pytest.TempPathFactory, ubjson: bytes, seed: int, cut: bool
) -> None:
    random = np.random.default_rng(seed)
    damaged = bytearray(ubjson)
    damaged[random.integers(len(damaged))] = random.integers(256)
    path = tmp_path_factory.getbasetemp() / "changed.ubj"
    path.write_bytes(damaged[: random.integers(len(damaged))] if cut else damaged)
    try:
        XgboostRuntime(path, signature(), threads=1).run({"features": rows(50)})
    except RuntimeFailure as error:
        assert "changed.ubj" in str(error)


def test_a_model_of_several_scores_or_without_trees_is_refused(text: str) -> None:
    document = json.loads(text)
    document["learner"]["learner_model_param"]["num_class"] = "3"
    with pytest.raises(ArtifactError, match="got the booster gbtree with 3"):
        checked_learner(json.dumps(document).encode(), "m")
    document["learner"]["gradient_booster"] = {"name": "gblinear"}
    with pytest.raises(
        ArtifactError, match="expected trees with one score per row, got the booster gblinear"
    ):
        checked_learner(json.dumps(document).encode(), "m")


def test_json_of_another_program_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"not a model", b"[]", b"{}", b'{"learner": 3}'):
        with pytest.raises(ArtifactError, match="the file is damaged"):
            checked_learner(content, "m")
