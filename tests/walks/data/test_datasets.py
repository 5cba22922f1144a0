import numpy as np
import pytest

from services.stages.context import ContextLayout
from tests.walks.conftest import City, Play
from walks.data.datasets import PRIOR_RATINGS, context_columns, popularity
from walks.data.features import FEATURES
from walks.simulation.calendars import NONE_S


def test_popularity_sees_only_the_past(play: Play) -> None:
    log, routes = play.log, len(play.truth.charm)
    split = float(np.median(log.rated.at_s))
    got = popularity(log, routes, split)
    past = log.rated.at_s < split
    mean = log.rated.rating[past].mean()
    row = int(np.bincount(log.rated.row[past], minlength=routes).argmax())
    own = log.rated.rating[past & (log.rated.row == row)]
    assert got.dtype == np.float32
    assert got[row] == pytest.approx(
        (own.sum() + PRIOR_RATINGS * mean) / (len(own) + PRIOR_RATINGS), rel=1e-5
    )


def test_without_ratings_every_route_is_middling(play: Play) -> None:
    assert popularity(play.log, 5, before_s=-1.0) == pytest.approx([0.5] * 5)


def test_a_context_is_what_a_caller_may_send(city: City, play: Play) -> None:
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


def test_without_an_appointment_training_sees_what_a_caller_sends_who_names_none(
    city: City, play: Play
) -> None:
    columns = context_columns(play.visits.moment, city.graph.projection)
    free = play.visits.moment.wait_s >= NONE_S
    assert free.any()
    assert not free.all()
    layout = ContextLayout(FEATURES)
    silent = layout.columns([layout.encode({})])
    for name in ("next_event_minutes", "next_event_position"):
        column = columns[f"context.{name}"]
        assert isinstance(column, np.ndarray)
        assert (column[free] == silent[name]).all()
        assert (column[~free] != silent[name]).any()
