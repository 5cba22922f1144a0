import numpy as np

from tests.walks.conftest import City, Play
from walks.simulation.visits import APART_S, FIXES_MIN, draw_visits
from walks.simulation.weather import DAY_S


def test_visits_are_ordered_and_keep_their_minimum_distance(play: Play) -> None:
    visits = play.visits
    assert (np.diff(visits.user) >= 0).all()
    same = np.diff(visits.user) == 0
    assert (np.diff(visits.at_s)[same] >= APART_S).all()
    assert visits.at_s.min() >= play.weather.start_s
    assert visits.at_s.max() < play.weather.end_s == play.weather.start_s + DAY_S * play.config.days
    assert set(np.unique(visits.user)) == set(range(play.config.users))


def test_context_of_a_visit_matches_its_hour(play: Play) -> None:
    weather, visits, moment = play.weather, play.visits, play.visits.moment
    hour = ((visits.at_s - weather.start_s) // 3600).astype(int)
    assert np.array_equal(moment.series_hour, hour)
    assert np.array_equal(moment.temperature_c, weather.temperature_c[hour])
    assert np.array_equal(moment.raining, weather.rain_mm[hour] > 0.1)
    assert np.array_equal(moment.rain_ahead, np.maximum(*(weather.rain_mm[hour + n] > 0.1 for n in (1, 2))))
    assert np.array_equal(np.floor(moment.hour), hour % 24)
    assert np.array_equal(moment.off, weather.day_off()[hour])
    assert moment.minutes.min() >= 10.0
    assert moment.minutes.max() <= 180.0


def test_free_time_ends_before_the_next_appointment(play: Play) -> None:
    moment = play.visits.moment
    soon = moment.wait_s < DAY_S
    assert 0.3 < soon.mean() < 0.9
    assert (moment.minutes[soon] <= np.maximum(moment.wait_s[soon] / 60.0, 10.0) + 1e-3).all()
    assert np.array_equal(moment.next_xy[~soon], moment.xy[~soon])


def test_positions_are_on_the_map(city: City, play: Play) -> None:
    xy = play.visits.moment.xy
    assert (xy >= city.graph.xy.min(axis=0)).all()
    assert (xy <= city.graph.xy.max(axis=0)).all()


def test_track_ends_at_the_place_of_the_visit(play: Play) -> None:
    visits = play.visits
    assert visits.fix_s.shape == (len(visits.user), len(FIXES_MIN))
    assert (np.diff(visits.fix_s, axis=1) > 0).all()
    assert (visits.fix_s < visits.at_s[:, None]).all()
    away = np.hypot(*np.moveaxis(visits.fix_xy - visits.moment.xy[:, None], 2, 0))
    moving = np.hypot(*(visits.moment.came_from - visits.moment.xy).T) > 200.0
    assert 0.1 < moving.mean() < 0.6
    assert away[moving, 0].mean() > 2 * away[moving, -1].mean()
    still = away[:, 0] < 60.0
    assert away[still].max() < 200.0


def test_visits_peak_at_lunch_and_in_the_evening_and_are_fewer_in_rain(city: City, play: Play) -> None:
    weather = play.weather
    corners = np.stack([city.graph.xy.min(axis=0), city.graph.xy.max(axis=0)])
    hours = (0, 24 * play.config.days)
    moment = draw_visits(play.people, weather, hours, 150.0, corners, np.random.default_rng(2)).moment
    by_hour = np.bincount(moment.hour[~moment.off].astype(int), minlength=24)
    assert by_hour[12] > 2 * by_hour[14]
    assert by_hour[18] > 2 * by_hour[14]
    assert by_hour[3] == 0
    assert moment.raining.mean() < 0.8 * (weather.rain_mm > 0.1).mean()


def test_visits_can_cover_few_hours_or_be_empty(city: City, play: Play) -> None:
    corners = np.stack([city.graph.xy.min(axis=0), city.graph.xy.max(axis=0)])
    drawn = draw_visits(play.people, play.weather, (40, 45), 1.0, corners, np.random.default_rng(3), least=0)
    assert set(drawn.moment.series_hour) <= set(range(40, 45))
    none = draw_visits(play.people, play.weather, (40, 45), 0.0, corners, np.random.default_rng(3), least=0)
    assert len(none.user) == 0
