"""The features that a student reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingError
from models.training.narrowing import names_of, narrowed, reads_of
from tests.models.worlds import RANKER

READS = reads_of(RANKER.model_dump(mode="json"))
NAMES = names_of(READS)


@given(st.sets(st.sampled_from([name for name in NAMES if name != "item.attributes"])))
def test_exactly_the_named_features_are_left_out(without: set[str]) -> None:
    assert set(names_of(narrowed(READS, sorted(without)))) == set(NAMES) - without


def test_nothing_is_left_out_by_default() -> None:
    assert narrowed(READS, ()) == READS
    assert READS.history == RANKER.history


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (
            ["item.attribute"],
            r"student\.without: the parent reads no such feature, got 'item.attribute'; name one of item\.",
        ),
        (
            ["item.attributes", "item.popularity"],
            r"student\.without: at least one item column must remain, got item\.attributes, item\.popularity",
        ),
    ],
)
def test_unusable_names_are_refused(without: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        narrowed(READS, without)


@pytest.mark.parametrize("architecture", [{}, {"name": "dlrm", "rows": 10}])
def test_a_model_that_is_no_ranker_has_no_features(architecture: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="student: the parent must be a ranker"):
        reads_of(architecture)
