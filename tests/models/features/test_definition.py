"""Feature definitions: what they refuse, and what their hash follows."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.features.definition import Feature, FeatureSet

PACE = Feature(name="pace", group="user", default=5.0, description="km/h")


def hash_of(**changes: Any) -> str:
    return FeatureSet(features=(PACE.model_copy(update=changes),)).content_hash


@pytest.mark.parametrize(
    "changes",
    [{"name": "speed"}, {"dtype": "float64"}, {"shape": (2,)}, {"default": 4.0}, {"group": "context"}],
)
def test_the_hash_follows_what_changes_the_numbers(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) != hash_of()


@pytest.mark.parametrize("changes", [{"description": "m/s"}, {"minimum": 0.0}, {"maximum": 9.0}])
def test_the_hash_ignores_words_and_limits(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) == hash_of()


def test_the_hash_ignores_the_order() -> None:
    other = Feature(name="age", group="user")
    assert FeatureSet(features=(PACE, other)).content_hash == FeatureSet(features=(other, PACE)).content_hash


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"name": "Pace", "group": "user"}, "pattern"),
        ({"name": "pace", "group": "users"}, "user"),
        ({"name": "past", "group": "user", "ragged": True}, "max_length"),
        ({"name": "pace", "group": "user", "default": (1.0, 2.0)}, "2 values"),
        ({"name": "pace", "group": "user", "unit": "km/h"}, "unit"),
    ],
)
def test_a_wrong_definition_is_refused(document: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Feature.model_validate(document)


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"declared twice: user\.pace"):
        FeatureSet(features=(PACE, PACE))


def test_the_same_name_may_serve_two_groups() -> None:
    both = FeatureSet(features=(PACE, PACE.model_copy(update={"group": "item"})))
    assert [feature.group for feature in both.group("item")] == ["item"]
