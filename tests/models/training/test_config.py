"""The YAML's ``training:`` part: unknown fields and invalid values are rejected by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.training.config import TrainingConfig
from models.training.ranker_config import RankerTraining

SMALLEST: dict[str, Any] = {"data": "impressions", "ranker": {"items": ["attributes"]}}


def test_smallest_configuration_is_valid() -> None:
    config = TrainingConfig.model_validate(SMALLEST)
    assert config.reranker is None
    assert isinstance(config.ranker, RankerTraining)
    assert [column.name for column in config.ranker.history_values] == ["history_rating", "history_age_days"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"epochs": 3}, "epochs"),
        ({"seed": -1}, "seed"),
        ({"ranker": {"items": []}}, "items"),
        ({"ranker": {"items": ["a"], "fit": {"learning_rate": 0}}}, "learning_rate"),
        ({"ranker": {"items": ["a"], "fit": {"loss": "hinge"}}}, "loss"),
        ({"ranker": {"items": ["a"], "size": "huge"}}, "size"),
        ({"ranker": {"items": ["a"], "size": {"width": 30, "heads": 4}}}, "must be a multiple of heads"),
        ({"ranker": {"items": ["a"], "width": 32}}, "width"),
        ({"ranker": {"items": ["a"], "context": [{"name": "hour", "encoding": "cyclic"}]}}, "period"),
    ],
)
def test_error_names_the_invalid_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        TrainingConfig.model_validate({**SMALLEST, **changes})


def test_size_is_a_name_or_its_fields() -> None:
    def sizes(size: Any) -> Any:
        return RankerTraining.model_validate({"items": ["a"], "size": size}).sizes

    assert sizes("default") == sizes({}) == RankerTraining(items=("a",)).sizes
    assert sizes("large").width == 1024
    assert sizes({"layers": 3}).layers == 3
