"""Rules: the candidates that may be answered, for whole ragged batches, compared with a plain search."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from services.errors import ConfigError
from services.stages.reranker import RerankerConfig, RerankerStage
from services.stages.scoring.scorer import ModelScorer
from services.stages.selection.diversity import DiversityConfig
from services.stages.selection.rules import Rules, RulesConfig

ITEMS = 24
NOW_S = 1e9
DAY_S = 86_400.0
FEATURES = FeatureSet(
    features=(
        Feature(name="history", group="user", dtype="int64", ragged=True, max_length=9),
        Feature(name="history_at_s", group="user", dtype="float64", ragged=True, max_length=9),
        Feature(name="now_s", group="context", dtype="float64"),
    )
)
EVERY_RULE: dict[str, Any] = {
    "closed": "item.closed",
    "seen": {"within_days": 10},
    "cap": {"column": "cell", "most": 2},
}


class Keeping:
    """A reranker that keeps the ranker's scores, and never gets an empty batch."""

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        assert batch.candidate_count > 0
        return cast(NDArray[np.float32], batch.candidates["score"])


@pytest.fixture(scope="module")
def areas(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Return items in cells of six, every fourth closed."""
    root = tmp_path_factory.mktemp("areas") / "catalogue"
    random = np.random.default_rng(2)
    vectors = random.normal(size=(ITEMS, 3)).astype(np.float32)
    write_catalogue(
        root,
        name="areas",
        version="1",
        features=FEATURES,
        ids=sorted(
            (f"item-{number}" for number in range(ITEMS)), key=item_key
        ),  # in the order of the catalogue
        columns={
            "cell": (np.arange(ITEMS) // 6).astype(np.int32),
            "closed": (np.arange(ITEMS) % 4 == 3).astype(np.uint8),
            "embedding": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        },
        details=[b"{}"] * ITEMS,
    )
    return Catalogue.open(root)


def batch_of(
    catalogue: Catalogue, lists: list[list[int]], seen: list[list[tuple[int, float]]], k: int, seed: int = 0
) -> RaggedBatch:
    """Return lists of rows as a batch. ``seen`` has each user's rows, and the days since the user saw them."""
    lengths = np.array([len(rows) for rows in lists])
    past = offsets_of(np.array([len(one) for one in seen]))
    pairs = [pair for one in seen for pair in one]
    scores = np.random.default_rng(seed).permutation(int(lengths.sum())).astype(np.float32)
    keys = np.array([catalogue.keys[row] for row, _ in pairs], dtype=np.int64)
    at_s = np.array([NOW_S - days * DAY_S for _, days in pairs], dtype=np.float64)
    return RaggedBatch(
        offsets=offsets_of(lengths),
        rows=np.array([row for rows in lists for row in rows], dtype=np.int64),
        requests={
            "user.history": RaggedArray(keys, past),
            "user.history_at_s": RaggedArray(at_s, past),
            "context.now_s": np.full(len(lists), NOW_S),
        },
        candidates={"score": scores, "ranker": scores},
        k=np.full(len(lists), k, dtype=np.int64),
    )


def answered(
    catalogue: Catalogue, batch: RaggedBatch, rules: dict[str, Any], *, diverse: bool
) -> list[list[int]]:
    """Return the rows in each request's answer."""
    config = RerankerConfig(
        model="reranker",
        rules=RulesConfig.model_validate(rules),
        diversity=DiversityConfig(column="embedding", relevance_weight=0.6) if diverse else None,
    )
    answer = RerankerStage(cast(ModelScorer, Keeping()), config, catalogue, FEATURES)(batch)
    return [answer.rows[a:b].tolist() for a, b in zip(answer.offsets[:-1], answer.offsets[1:], strict=True)]


def naive(batch: RaggedBatch, index: int, seen: list[tuple[int, float]], k: int) -> list[int]:
    """Apply every rule to one request, one candidate after another."""
    own = slice(*batch.offsets[index : index + 2])
    order = np.argsort(-batch.candidates["score"][own], kind="stable")
    rows = [row for row in batch.rows[own][order].tolist() if row % 4 != 3]
    lately = {row for row, days in seen if days <= 10}
    rows = [row for row in rows if row not in lately] or rows
    kept: list[int] = []
    for row in rows:
        if [other // 6 for other in kept].count(row // 6) < 2:
            kept.append(row)
    return kept[:k]


ROWS = st.lists(st.integers(0, ITEMS - 1), max_size=15, unique=True)
SEEN = st.lists(st.tuples(st.integers(0, ITEMS - 1), st.sampled_from([0.5, 9.0, 11.0, 400.0])), max_size=8)


@settings(max_examples=150)
@given(st.lists(st.tuples(ROWS, SEEN), min_size=1, max_size=4), st.integers(1, 8), st.integers(0, 99))
def test_all_rules_together_equal_a_plain_search(
    areas: Catalogue, requests: list[tuple[list[int], list[tuple[int, float]]]], k: int, seed: int
) -> None:
    batch = batch_of(areas, [rows for rows, _ in requests], [seen for _, seen in requests], k, seed)
    wanted = [naive(batch, index, seen, k) for index, (_, seen) in enumerate(requests)]
    assert answered(areas, batch, EVERY_RULE, diverse=False) == wanted
    for own, plain in zip(answered(areas, batch, EVERY_RULE, diverse=True), wanted, strict=True):
        assert len(own) == len(plain)  # the same number, in another order
        assert all(row % 4 != 3 for row in own)
        assert max(np.bincount(np.array(own, dtype=np.int64) // 6, minlength=1)) <= 2


def test_answers_all_candidates_in_order_without_rules(areas: Catalogue) -> None:
    batch = batch_of(areas, [[3, 7, 11]], [[(3, 0.1)]], 5)
    best = batch.rows[np.argsort(-batch.candidates["score"])].tolist()
    assert answered(areas, batch, {}, diverse=False) == [best]


def test_user_who_has_seen_all_candidates_gets_them_again(areas: Catalogue) -> None:
    seen = [[(row, 1.0) for row in (0, 1)], [(row, 1.0) for row in (0, 1)]]
    batch = batch_of(areas, [[0, 1], [0, 1, 2]], seen, 5)
    again, fresh = answered(areas, batch, {"seen": {"within_days": 10}}, diverse=False)
    assert sorted(again) == [0, 1]
    assert fresh == [2]


def test_closed_items_are_not_answered_even_if_no_others_exist(areas: Catalogue) -> None:
    batch = batch_of(areas, [[3, 7], [0, 3]], [[], []], 5)
    assert answered(areas, batch, {"closed": "item.closed"}, diverse=True) == [[], [0]]
    nothing = batch_of(areas, [[3, 7]], [[]], 5)
    assert answered(areas, nothing, {"closed": "item.closed"}, diverse=True) == [[]]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"closed": "item.locked"}, "reranker.rules.closed"),
        ({"closed": "cell.closed"}, "reranker.rules.closed"),
        ({"seen": {"within_days": 1, "history": "user.past"}}, "reranker.rules.seen.history"),
        ({"seen": {"within_days": 1, "history": "context.now_s"}}, "reranker.rules.seen.history"),
        ({"seen": {"within_days": 1, "at_s": "context.now_s"}}, "reranker.rules.seen.at_s"),
        ({"seen": {"within_days": 1, "now_s": "user.history"}}, "reranker.rules.seen.now_s"),
        ({"cap": {"column": "embedding", "most": 1}}, "reranker.rules.cap.column"),
        ({"cap": {"column": "area", "most": 1}}, "reranker.rules.cap.column"),
    ],
)
def test_rejects_rule_for_a_column_that_does_not_exist(
    areas: Catalogue, rules: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Rules(RulesConfig.model_validate(rules), areas, FEATURES)
    assert refused.value.field == field
