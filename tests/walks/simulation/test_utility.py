from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.walks.conftest import City, Play
from walks.routes.attributes import NAMES
from walks.simulation.news import News
from walks.simulation.people import CHARACTERS, INTERESTS, WORDINGS
from walks.simulation.utility import Moment, draw_truth, utility

SILENT = News(*(np.empty(0, dtype=np.int64),) * 4, np.full((1, 40), -1, dtype=np.int32))


def moment(play: Play, users: int, **changes: Any) -> Moment:
    """Return a fine Tuesday afternoon for each user, at home, without an appointment."""
    home = play.people.home[:users]
    values = {
        **{
            "at_s": 0.0,
            "hour": 13.9,
            "off": False,
            "temperature_c": 15.0,
            "minutes": 90.0,
            "wait_s": 86_400.0,
        },
        **{"raining": 0.0, "rain_ahead": 0.0, "snowing": 0.0, "snow_day_h": 0.0, "traffic": 3000.0},
        **changes,
    }
    columns: dict[str, Any] = {name: np.full(users, value) for name, value in values.items()}
    return Moment(
        xy=home, next_xy=home, came_from=home, series_hour=np.zeros(users, dtype=np.int64), **columns
    )


def everyone(play: Play, **changes: Any) -> np.ndarray:
    """Return every route's utility for every user."""
    return at(play, moment(play, len(play.people), **changes))


def at(play: Play, when: Moment, news: News | None = None) -> np.ndarray:
    users, routes = len(play.people), len(play.truth.charm)
    rows = np.broadcast_to(np.arange(routes), (users, routes))
    heard = news or replace(SILENT, topic=np.zeros(1, dtype=np.int64), hour=np.zeros(1, dtype=np.int64))
    return utility(play.people, play.truth, heard, np.arange(users), when, rows)


def correlation(play: Play, change: np.ndarray, name: str) -> float:
    """Return the correlation between each route's mean change and one attribute."""
    return float(np.corrcoef(change.mean(axis=0), play.truth.attributes[:, NAMES.index(name)])[0, 1])


def test_near_routes_are_more_attractive_than_far_ones(play: Play) -> None:
    here = moment(play, len(play.people))
    near = replace(here, xy=np.repeat(play.truth.start[:1], len(play.people), axis=0))
    near = replace(near, came_from=near.xy)
    far = replace(near, xy=near.xy + np.array([600.0, 0.0]))
    far = replace(far, came_from=far.xy)
    gain = at(play, near)[:, 0] - at(play, far)[:, 0]
    assert gain == pytest.approx(0.6 / play.people.reach_km, rel=1e-2)


def test_present_and_coming_rain_favour_cafes_over_gravel(play: Play) -> None:
    now = everyone(play, raining=1.0) - everyone(play)
    ahead = everyone(play, rain_ahead=1.0) - everyone(play)
    for change in (now, ahead):
        assert correlation(play, change, "places_cafe") > 0.1
        assert correlation(play, change, "surface_unpaved") < -0.1
    assert np.abs(ahead).sum() < np.abs(now).sum()


def test_darkness_makes_parks_less_attractive(play: Play) -> None:
    assert correlation(play, everyone(play, hour=23.0) - everyone(play), "park") < -0.5


def test_snow_makes_stairs_less_attractive(play: Play) -> None:
    change = everyone(play, temperature_c=-5.0, snow_day_h=8.0) - everyone(play, temperature_c=-5.0)
    assert correlation(play, change, "stairs") < -0.5


def test_traffic_makes_major_roads_less_attractive_to_people_who_like_quiet(play: Play) -> None:
    change = everyone(play, traffic=6000.0) - everyone(play)
    assert correlation(play, change, "major") < -0.9
    quiet = play.people.interest[:, list(INTERESTS).index("quiet")]
    assert np.corrcoef(quiet, np.abs(change).sum(axis=1))[0, 1] > 0.9


def test_short_free_time_favours_short_routes(play: Play) -> None:
    assert correlation(play, everyone(play, minutes=12.0) - everyone(play), "length_km") < -0.4


def test_appointment_makes_routes_that_end_nearby_more_attractive_to_punctual_people(play: Play) -> None:
    there = np.repeat(play.truth.end[:1], len(play.people), axis=0)
    soon = replace(moment(play, len(play.people), wait_s=1800.0), next_xy=there)
    change = at(play, soon) - everyone(play)
    away = np.hypot(*(play.truth.end - play.truth.end[0]).T)
    assert np.corrcoef(change.mean(axis=0), away)[0, 1] < -0.8
    assert np.corrcoef(play.people.punctual, change.min(axis=1))[0, 1] < -0.9


def test_prefers_starts_in_the_direction_of_travel(play: Play) -> None:
    here = moment(play, len(play.people))
    eastward = at(play, replace(here, came_from=here.xy - np.array([400.0, 0.0])))
    westward = at(play, replace(here, came_from=here.xy + np.array([400.0, 0.0])))
    east = play.truth.start[None, :, 0] - here.xy[:, None, 0]
    assert np.corrcoef((eastward - westward).ravel(), np.sign(east).ravel())[0, 1] > 0.5


@pytest.mark.parametrize(("topic", "sign"), [(1, 1.0), (6, -1.0)])
def test_effect_of_news_fades_with_its_age(play: Play, topic: int, sign: float) -> None:
    cell = int(play.truth.cell[0])
    newest = np.full((1, 40), -1, dtype=np.int32)
    newest[0, cell] = 0
    column = np.zeros(1, dtype=np.int64)
    here = moment(play, len(play.people))
    fresh = at(play, here, News(column + cell, column + topic, column, column + 1, newest)) - at(play, here)
    old = at(play, here, News(column + cell, column + topic, column - 48, column + 1, newest)) - at(
        play, here
    )
    there = play.truth.cell == cell
    assert (fresh[:, ~there] == 0).all()
    assert (sign * fresh[:, there].mean()) > 0.2
    assert old[:, there] == pytest.approx(fresh[:, there] * np.exp(-1.0), abs=1e-4)


def test_tastes_differ_and_hidden_character_and_wording_matter(play: Play) -> None:
    likes = everyone(play)
    assert 1.0 < likes.std() < 4.0
    for name in ("character", "wording"):
        blind = replace(play.people, **{name: np.zeros_like(getattr(play.people, name))})
        hidden = everyone(replace(play, people=blind)) - likes
        assert 0.3 < hidden.std() < 1.5


def test_the_same_seed_draws_the_same_hidden_truth(city: City) -> None:
    routes = len(city.routes)
    cell = np.zeros(routes, dtype=np.int64)
    texts = [
        np.random.default_rng(1).random((routes, n), dtype=np.float32) for n in (WORDINGS, len(INTERESTS))
    ]
    first, second = (
        draw_truth(city.facts, cell, texts[0], texts[1], np.random.default_rng(4)) for _ in range(2)
    )
    assert np.array_equal(first.charm, second.charm)
    assert first.charm.std() == pytest.approx(0.5, rel=1e-3)
    assert first.character.shape == (routes, CHARACTERS)
    assert first.wording.std(axis=0) == pytest.approx(1.0, abs=1e-3)
