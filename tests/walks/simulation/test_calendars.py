import numpy as np

from tests.walks.conftest import Play
from walks.simulation.calendars import NONE_S, Calendar, draw_calendar
from walks.simulation.weather import DAY_S

NOON_S = 1_500_000_000 // 86_400 * DAY_S + DAY_S / 2


def test_next_appointment_is_the_users_own_on_the_same_day() -> None:
    times = np.array([NOON_S, NOON_S + 3600, NOON_S + DAY_S, NOON_S + 600])
    calendar = Calendar(np.array([0, 0, 0, 2]), times, np.zeros((4, 2)))
    user = np.array([0, 0, 0, 1, 2, 2])
    at_s = NOON_S + np.array([-60.0, 0.0, 3600.0, 0.0, 0.0, 601.0])
    wait_s, row = calendar.next_of(user, at_s)
    assert wait_s.tolist() == [60.0, 3600.0, NONE_S, NONE_S, 600.0, NONE_S]
    assert row.tolist() == [0, 1, -1, -1, 3, -1]


def test_empty_calendar_has_no_next_appointment() -> None:
    calendar = Calendar(np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, 2)))
    wait_s, row = calendar.next_of(np.array([0]), np.array([NOON_S]))
    assert (wait_s[0], row[0]) == (NONE_S, -1)


def test_appointments_are_on_days_of_visits_and_mostly_in_office_hours(play: Play) -> None:
    visits, corners = play.visits, np.array([[-500.0, -800.0], [500.0, 800.0]])
    rng = np.random.default_rng(5)
    calendar = draw_calendar(play.people, visits.user, visits.at_s, play.weather, corners, rng)
    order = np.lexsort((calendar.start_s, calendar.user))
    assert np.array_equal(order, np.arange(len(order)))
    assert (calendar.start_s % 900 == 0).all()
    days = {(int(u), float(s // DAY_S)) for u, s in zip(visits.user, visits.at_s, strict=True)}
    assert {(int(u), float(s // DAY_S)) for u, s in zip(calendar.user, calendar.start_s, strict=True)} <= days
    off = play.weather.day_off()[play.weather.hour_of(calendar.start_s)]
    hour = calendar.start_s % DAY_S / 3600
    assert ((hour >= 8) & (hour < 17))[~off].mean() > 0.6 > ((hour >= 8) & (hour < 17))[off].mean() - 0.2
    at_work = (calendar.xy == play.people.work[calendar.user]).all(axis=1)
    assert 0.35 < at_work[~off].mean() < 0.65
    assert not at_work[off].any()
