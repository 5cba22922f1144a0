import numpy as np

from tests.walks.conftest import City, Play
from walks.sources import WEATHER, locate
from walks.visits import APART_S, draw_visits
from walks.weather import read_weather


def test_visits_are_ordered_and_apart(play: Play) -> None:
    visits = play.visits
    assert (np.diff(visits.user) >= 0).all()
    same = np.diff(visits.user) == 0
    assert (np.diff(visits.at_s)[same] >= APART_S).all()
    assert visits.at_s.min() >= 0.0
    assert visits.at_s.max() < 86_400.0 * play.config.days
    assert set(np.unique(visits.user)) == set(range(play.config.users))


def test_contexts_are_the_hours_they_happen_in(play: Play) -> None:
    weather = read_weather(locate(WEATHER), play.config.days)
    visits, moment = play.visits, play.visits.moment
    hour = (visits.at_s // 3600).astype(int)
    assert np.array_equal(moment.temperature_c, weather.temperature_c[hour])
    assert np.array_equal(moment.rain_mm, weather.rain_mm[hour])
    assert np.array_equal(np.floor(moment.hour), hour % 24)
    assert np.array_equal(moment.weekday, weather.weekday()[hour])
    assert moment.minutes.min() >= 10.0
    assert moment.minutes.max() <= 180.0


def test_positions_are_on_the_map(city: City, play: Play) -> None:
    xy = play.visits.moment.xy
    assert (xy >= city.graph.xy.min(axis=0)).all()
    assert (xy <= city.graph.xy.max(axis=0)).all()


def test_people_come_at_lunch_and_in_the_evening_and_stay_in_when_it_rains(city: City, play: Play) -> None:
    weather = read_weather(locate(WEATHER), play.config.days)
    corners = np.stack([city.graph.xy.min(axis=0), city.graph.xy.max(axis=0)])
    moment = draw_visits(play.people, weather, 150.0, corners, np.random.default_rng(2)).moment
    workday = moment.weekday < 5
    by_hour = np.bincount(moment.hour[workday].astype(int), minlength=24)
    assert by_hour[12] > 2 * by_hour[14]
    assert by_hour[18] > 2 * by_hour[14]
    assert by_hour[3] == 0
    assert (moment.rain_mm > 0.1).mean() < 0.8 * (weather.rain_mm > 0.1).mean()
