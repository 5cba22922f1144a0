import numpy as np

from walks.attributes import ATTRIBUTES
from walks.features import FEATURES
from walks.people import PROFILE


def test_shapes_are_those_of_what_is_declared() -> None:
    shapes = {(f.group, f.name): f.shape for f in FEATURES.features}
    assert shapes["item", "attributes"] == (len(ATTRIBUTES),)
    assert shapes["user", "profile"] == (len(PROFILE),)


def test_defaults_are_whole_and_allowed() -> None:
    for feature in FEATURES.features:
        value = feature.default_value().astype(np.float64)
        assert value.shape == feature.shape
        assert np.isfinite(value).all()
        if feature.minimum is not None:
            assert (value >= feature.minimum).all()
        if feature.maximum is not None:
            assert (value <= feature.maximum).all()


def test_every_feature_is_described() -> None:
    assert all(feature.description for feature in FEATURES.features)
