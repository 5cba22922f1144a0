import numpy as np
import pytest

from services.stages.context import ContextLayout
from tests.walks.conftest import City, Play
from walks.data.datasets import PRIOR_RATINGS, context_columns, popularity
from walks.data.features import FEATURES
from walks.simulation.calendars import NONE_S


def test_popularity_uses_only_past_ratings(play: Play) -> None:
    log, routes = play.log, len(play.truth.charm)
    split = float(np.median(log.rated.at_s))
    result = popularity(log, routes, split)
    past = log.rated.at_s < split
    mean = log.rated.rating[past].mean()
    row = int(np.bincount(log.rated.row[past], minlength=routes).argmax())
    own_ratings = log.rated.rating[past & (log.rated.row == row)]
    assert result.dtype == np.float32
    assert result[row] == pytest.approx(
        (own_ratings.sum() + PRIOR_RATINGS * mean) / (len(own_ratings) + PRIOR_RATINGS), rel=1e-5
    )


def test_popularity_is_one_half_without_ratings(play: Play) -> None:
    assert popularity(play.log, 5, before_s=-1.0) == pytest.approx([0.5] * 5)


def test_context_columns_are_valid_as_a_callers_context(city: City, play: Play) -> None:
    columns = context_columns(play.visits.moment, city.graph.projection)
    context = FEATURES.supplied("context")
    assert set(columns) == {feature.column for feature in context}
    for feature in context:
        column = columns[feature.column]
        assert isinstance(column, np.ndarray)
        assert column.dtype == feature.dtype
        assert column.shape == (len(play.visits.user), *feature.shape)
        assert feature.minimum is not None
        assert feature.maximum is not None
        assert (column >= np.asarray(feature.minimum)).all()
        assert (column <= np.asarray(feature.maximum)).all()


def test_training_without_an_appointment_has_the_same_context_as_a_caller_without_one(
    city: City, play: Play
) -> None:
    columns = context_columns(play.visits.moment, city.graph.projection)
    free = play.visits.moment.wait_s >= NONE_S
    assert free.any()
    assert not free.all()
    layout = ContextLayout(FEATURES)
    defaults = layout.columns([layout.encode({})])
    for name in ("next_event_minutes", "next_event_position"):
        column = columns[f"context.{name}"]
        assert isinstance(column, np.ndarray)
        assert (column[free] == defaults[name]).all()
        assert (column[~free] != defaults[name]).any()
