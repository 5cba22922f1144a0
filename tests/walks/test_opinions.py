from dataclasses import replace

import numpy as np
import pytest

from tests.walks.conftest import City, Play
from walks.attributes import NAMES
from walks.opinions import Moment, draw_truth, utility


def moment(play: Play, users: int, **changes: float) -> Moment:
    """One fine Tuesday afternoon for each user, at home."""
    values = {"hour": 13.9, "weekday": 1.0, "temperature_c": 15.0, "rain_mm": 0.0, "minutes": 90.0, **changes}
    columns = {name: np.full(users, value, dtype=np.float32) for name, value in values.items()}
    return Moment(xy=play.people.home[:users], **columns)


def everyone(play: Play, **changes: float) -> np.ndarray:
    """Utility of every route for every user."""
    users, routes = len(play.people), len(play.truth.charm)
    rows = np.broadcast_to(np.arange(routes), (users, routes))
    return utility(play.people, play.truth, np.arange(users), moment(play, users, **changes), rows)


def correlation(play: Play, change: np.ndarray, name: str) -> float:
    """Of each route's mean change with one attribute."""
    return float(np.corrcoef(change.mean(axis=0), play.truth.attributes[:, NAMES.index(name)])[0, 1])


def test_near_is_better_than_far(play: Play) -> None:
    users = len(play.people)
    rows = np.zeros((users, 1), dtype=np.int64)
    who = np.arange(users)
    near = replace(moment(play, users), xy=np.repeat(play.truth.start[:1], users, axis=0))
    far = replace(near, xy=near.xy + np.array([600.0, 0.0]))
    gain = utility(play.people, play.truth, who, near, rows) - utility(
        play.people, play.truth, who, far, rows
    )
    assert gain[:, 0] == pytest.approx(0.6 / play.people.reach_km, rel=1e-3)


def test_rain_turns_people_to_cafes_and_off_gravel(play: Play) -> None:
    change = everyone(play, rain_mm=2.0) - everyone(play)
    assert correlation(play, change, "places_cafe") > 0.1
    assert correlation(play, change, "surface_unpaved") < -0.1


def test_the_dark_turns_people_away_from_parks(play: Play) -> None:
    assert correlation(play, everyone(play, hour=23.0) - everyone(play), "park") < -0.5


def test_little_time_wants_short_routes(play: Play) -> None:
    change = everyone(play, minutes=12.0) - everyone(play)
    assert correlation(play, change, "length_km") < -0.4


def test_tastes_differ_and_hidden_character_matters(play: Play) -> None:
    likes = everyone(play)
    assert 1.0 < likes.std() < 4.0
    blind = replace(play.people, character=np.zeros_like(play.people.character))
    hidden = everyone(replace(play, people=blind)) - likes
    assert 0.3 < hidden.std() < 1.5
    assert abs(correlation(play, hidden, "park")) < 0.6


def test_truth_is_drawn_from_its_seed(city: City) -> None:
    first, second = (draw_truth(city.facts, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first.charm, second.charm)
    assert first.charm.std() == pytest.approx(0.5, rel=1e-3)
