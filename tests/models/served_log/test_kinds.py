"""Kinds of feedback: the relevance that a pipeline's YAML gives to each."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.served_log.kinds import FeedbackConfig

VALUES = np.array([0.0, 0.5, 1.0], dtype=np.float32)


@pytest.mark.parametrize(
    ("written", "relevance"),
    [
        (0.2, [0.2] * 3),
        (1, [1.0] * 3),
        ("value", [0.0, 0.5, 1.0]),
        ([0.5, 0.9], [0.5, 0.7, 0.9]),
        ([1, 0], [1, 0.5, 0]),
    ],
)
def test_relevance_is_fixed_or_follows_the_value(written: Any, relevance: list[float]) -> None:
    config = FeedbackConfig(kinds={"kind": written})
    np.testing.assert_allclose(config.relevance("kind", VALUES), relevance)
    assert config.takes_value("kind") == isinstance(written, str | list)


@given(st.one_of(st.floats(0, 1), st.just("value"), st.tuples(st.floats(0, 1), st.floats(0, 1))))
def test_config_survives_json_and_relevance_stays_between_0_and_1(written: Any) -> None:
    config = FeedbackConfig(kinds={"kind": written})
    assert FeedbackConfig.model_validate_json(config.model_dump_json()) == config
    relevance = config.relevance("kind", VALUES)
    assert ((relevance >= 0) & (relevance <= 1)).all()


@pytest.mark.parametrize(
    "written",
    [-0.1, 1.5, float("nan"), True, None, "0.2", "values", [0.5], [0.5, 2], [0.5, [1]], {"relevance": 1}],
)
def test_rejects_relevance_that_is_none_of_the_three_forms(written: Any) -> None:
    with pytest.raises(ValidationError, match="expected a relevance from 0 to 1, the word value, or a pair"):
        FeedbackConfig(kinds={"kind": written})


@pytest.mark.parametrize("name", ["", "add to cart", "1st", "x" * 65, "clic\n"])
def test_rejects_names_that_are_no_identifiers(name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        FeedbackConfig(kinds={name: 1})
