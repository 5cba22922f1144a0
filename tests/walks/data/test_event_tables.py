import numpy as np
import pytest

from models.features.aggregates import as_of
from models.ragged import RaggedArray
from tests.walks.conftest import City, Play
from walks.data.event_tables import Tables, past_of, tables_of
from walks.data.features import FEATURES
from walks.data.user_features import HISTORY, OPENED, SHOWN, TRACK
from walks.simulation.log import Events
from walks.simulation.weather import DAY_S


@pytest.fixture(scope="module")
def tables(city: City, play: Play) -> Tables:
    keys = np.arange(len(play.truth.charm)) + 1_000
    return tables_of(play.log, play.visits, keys, city.graph.projection, play.config.users)


def ragged(column: object, request: int) -> np.ndarray:
    assert isinstance(column, RaggedArray)
    return column[request]


def before(events: Events, user: int, now: float, most: int) -> np.ndarray:
    return np.flatnonzero((events.user == user) & (events.at_s < now))[-most:]


def test_past_contains_exactly_the_earlier_events(play: Play, tables: Tables) -> None:
    log, visits = play.log, play.visits
    columns = past_of(tables, visits.user, visits.at_s)
    for request in range(0, len(visits.user), 7):
        user, now = int(visits.user[request]), float(visits.at_s[request])
        for name, events, most in (
            ("history", log.rated, HISTORY),
            ("opened", log.opened, OPENED),
            ("shown", log.shown, SHOWN),
        ):
            rows = before(events, user, now, most)
            assert np.array_equal(ragged(columns[f"user.{name}"], request), events.row[rows] + 1_000)
            assert np.array_equal(ragged(columns[f"user.{name}_at_s"], request), events.at_s[rows])
        rows = before(log.rated, user, now, HISTORY)
        assert np.array_equal(ragged(columns["user.history_rating"], request), log.rated.rating[rows])
        recent = rows[log.rated.at_s[rows] >= now - 180 * DAY_S]
        mean = columns["user.mean_rating"]
        assert isinstance(mean, np.ndarray)
        assert mean[request] == pytest.approx(
            log.rated.rating[recent].mean() if len(recent) else 0.6, abs=1e-6
        )


def test_track_of_a_visit_equals_the_reported_positions(city: City, play: Play, tables: Tables) -> None:
    visits = play.visits
    columns = past_of(tables, visits.user, visits.at_s)
    track = columns["realtime.track"]
    assert isinstance(track, RaggedArray)
    assert (np.diff(track.offsets) == TRACK).all()
    expected = city.graph.projection.to_latlon(visits.fix_xy.reshape(-1, 2))
    assert track.values == pytest.approx(expected, abs=1e-5)
    positions = columns["realtime.positions"]
    assert isinstance(positions, np.ndarray)
    assert np.isin(positions, (4.0, 5.0)).all()


def test_a_user_without_a_past_has_the_defaults(play: Play, tables: Tables) -> None:
    columns = past_of(tables, np.array([0]), np.array([play.weather.start_s]))
    for feature in (*FEATURES.supplied("user"), *FEATURES.supplied("realtime")):
        if feature.aggregate is None:
            continue
        column = columns[feature.column]
        if isinstance(column, RaggedArray):
            assert len(column.values) == 0
        else:
            assert np.array_equal(column[0], feature.default_value())
        again = as_of(
            feature, tables[feature.aggregate.event], np.array([0]), np.array([play.weather.start_s])
        )
        assert type(again) is type(column)
