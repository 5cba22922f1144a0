"""Feature definitions: errors, and the fields that affect the hash."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from models.features.aggregates import Aggregate
from models.features.definition import Feature, FeatureSet
from models.features.transforms import Clip, Log

LAST = {"kind": "last", "event": "rating", "field": "rating"}
NOW = {"name": "now_s", "group": "context", "dtype": "float64"}
PACE = Feature(name="pace", group="user", default=5.0, description="km/h")


def hash_of(**changes: Any) -> str:
    definition = (NOW, {"name": "other", "group": "user"}, {**PACE.model_dump(), **changes})
    return FeatureSet.model_validate({"features": definition}).content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "speed"},
        {"dtype": "float64"},
        {"shape": (2,)},
        {"default": 4.0},
        {"group": "context"},
        {"fresh_for_s": 5.0},
        {"transform": Log(of="user.other")},
        {"transform": Clip(of="user.other", low=0.0, high=1.0)},
        {"aggregate": Aggregate.model_validate(LAST)},
    ],
)
def test_hash_changes_with_every_field_that_affects_the_numbers(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) != hash_of()


@pytest.mark.parametrize("changes", [{"description": "m/s"}, {"minimum": 0.0}, {"maximum": 9.0}])
def test_hash_ignores_descriptions_and_limits(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) == hash_of()


def test_hash_ignores_the_order_of_declaration() -> None:
    other = Feature(name="age", group="user")
    assert FeatureSet(features=(PACE, other)).content_hash == FeatureSet(features=(other, PACE)).content_hash


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "Pace", "group": "user"}, "pattern"),
        ({"name": "pace", "group": "users"}, "user"),
        ({"name": "past", "group": "user", "ragged": True}, "max_length"),
        ({"name": "pace", "group": "user", "default": (1.0, 2.0)}, "2 values"),
        ({"name": "pace", "group": "user", "unit": "km/h"}, "unit"),
        ({"name": "rain", "group": "global", "ragged": True, "max_length": 2}, "no ragged features"),
        ({"name": "minutes", "group": "context", "fresh_for_s": 5.0}, "fresh_for_s is only for stored"),
        (
            {"name": "rain", "group": "global", "aggregate": LAST},
            "with an aggregate, the group must be user or realtime",
        ),
        (
            {"name": "keys", "group": "user", "ragged": True, "max_length": 3, "aggregate": LAST},
            "last_values",
        ),
        ({"name": "at", "group": "user", "aggregate": {"kind": "last", "event": "rating"}}, "float64"),
    ],
)
def test_a_wrong_definition_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Feature.model_validate(document)


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"declared twice: user\.pace"):
        FeatureSet(features=(PACE, PACE))


def test_two_groups_may_have_features_of_the_same_name() -> None:
    both = FeatureSet(features=(PACE, PACE.model_copy(update={"group": "item"})))
    assert [feature.group for feature in both.group("item")] == ["item"]


def feature_set(*features: dict[str, Any]) -> FeatureSet:
    return FeatureSet.model_validate({"features": features})


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            [{"name": "a", "group": "user", "transform": {"kind": "log", "of": "user.b"}}],
            "not declared above",
        ),
        (
            [
                {"name": "b", "group": "item"},
                {"name": "a", "group": "user", "transform": {"kind": "log", "of": "item.b"}},
            ],
            "cannot be derived from item.b",
        ),
        (
            [
                {"name": "b", "group": "user", "shape": (2,)},
                {"name": "a", "group": "user", "transform": {"kind": "log", "of": "user.b"}},
            ],
            "must be those of user.b",
        ),
        (
            [
                NOW,
                {"name": "b", "group": "item"},
                {"name": "a", "group": "item", "transform": {"kind": "age", "of": "item.b"}},
            ],
            "cannot be computed, because it needs the time of a request",
        ),
        ([{"name": "rain", "group": "global"}], "declare context.now_s"),
        ([{**NOW, "dtype": "float32"}, {"name": "rain", "group": "global"}], "declare context.now_s"),
        (
            [
                NOW,
                {"name": "a", "group": "user", "aggregate": LAST},
                {"name": "b", "group": "user", "dtype": "float64", "aggregate": LAST},
            ],
            "declare both with the same dtype and shape",
        ),
    ],
)
def test_rejects_an_inconsistent_set(features: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        feature_set(*features)


def test_set_survives_a_round_trip_through_yaml() -> None:
    features = feature_set(
        NOW,
        {"name": "a", "group": "user", "aggregate": LAST, "fresh_for_s": 60.0},
        {"name": "b", "group": "user", "transform": {"kind": "age", "of": "user.a", "unit_s": 60.0}},
    )
    again = FeatureSet.model_validate(yaml.safe_load(yaml.safe_dump(features.model_dump(mode="json"))))
    assert again == features
    assert again.content_hash == features.content_hash


def test_hash_of_a_group_depends_only_on_its_stored_features() -> None:
    rain, value = {"name": "rain", "group": "global"}, {"name": "value", "group": "item"}
    wet = {"name": "wet", "group": "global", "transform": {"kind": "log", "of": "global.rain"}}
    one = feature_set(NOW, rain).hash_of("global", "cell")
    assert feature_set(NOW, rain, value, wet).hash_of("global", "cell") == one
    assert feature_set(NOW, {**rain, "default": 1.0}).hash_of("global", "cell") != one


def test_text_affects_neither_the_hash_nor_the_numeric_features() -> None:
    text = Feature(name="query", group="context", dtype="text", max_length=100)
    number = Feature(name="minutes", group="context")
    both, alone = FeatureSet(features=(number, text)), FeatureSet(features=(number,))

    assert both.content_hash == alone.content_hash
    assert both.supplied("context") == (number,)
    assert both.texts == (text,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"group": "user", "max_length": 9}, "got group user"),
        ({"max_length": 0}, "needs max_length"),
        ({"max_length": 9, "shape": (2,)}, "with shape"),
        ({"max_length": 9, "minimum": 1.0}, "with minimum"),
    ],
)
def test_rejects_a_text_with_fields_of_numeric_features(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Feature(**{"name": "query", "group": "context", "dtype": "text", **fields})
