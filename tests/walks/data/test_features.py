from pathlib import Path

import numpy as np
import pytest
import yaml

from models.training.config import TrainingConfig
from models.training.ranker_config import RankerTraining
from walks.data.features import FEATURES
from walks.routes.attributes import ATTRIBUTES
from walks.simulation.people import PROFILE

ROOT = Path(__file__).parents[3]


def test_shapes_match_the_declared_attributes_and_profile() -> None:
    shapes = {(f.group, f.name): f.shape for f in FEATURES.features}
    assert shapes["item", "attributes"] == (len(ATTRIBUTES),)
    assert shapes["user", "profile"] == (len(PROFILE),)


def test_defaults_are_finite_and_within_bounds() -> None:
    for feature in (feature for feature in FEATURES.features if not feature.is_text):
        value = feature.default_value().astype(np.float64)
        assert value.shape == feature.shape
        assert np.isfinite(value).all()
        if feature.minimum is not None:
            assert (value >= feature.minimum).all()
        if feature.maximum is not None:
            assert (value <= feature.maximum).all()


def test_every_feature_is_described() -> None:
    assert all(feature.description for feature in FEATURES.features)


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("walks*.yaml")), ids=lambda path: path.stem)
def test_the_configs_read_only_declared_features_and_the_overlay(config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    assert document["features"]["overlay"] == "walks/full/overlay"
    if "training" not in document:
        return
    known = {feature.column for feature in FEATURES.features}
    ranker = TrainingConfig.model_validate(document["training"]).ranker
    assert isinstance(ranker, RankerTraining)
    read = {f"item.{name}" for name in (*ranker.items, *(pair.place for pair in ranker.distances))}
    read |= {f"context.{column.name}" for column in ranker.context} | {
        pair.origin for pair in ranker.distances
    }
    read |= {f"user.{name}" for name in (ranker.profile, ranker.history)}
    read |= {*ranker.request, *(f"cell.{name}" for name in ranker.cells)}
    assert read <= known
