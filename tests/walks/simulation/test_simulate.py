import numpy as np
import pytest

from tests.walks.conftest import Play
from walks.simulation.log import Events
from walks.simulation.simulate import OPENED, TOP, UserMemory, simulate
from walks.simulation.utility import SEEN, TIRED


def lists(play: Play) -> list[slice]:
    """Return each list's slice."""
    return [slice(a, b) for a, b in zip(play.log.offsets[:-1], play.log.offsets[1:], strict=True)]


def test_lists_have_distinct_routes_in_an_uninformative_order(play: Play) -> None:
    for at in lists(play):
        assert (np.diff(play.log.rows[at]) > 0).all()
        size = at.stop - at.start
        assert play.config.min_list <= size <= play.config.max_list
        assert sorted(play.log.position[at]) == list(range(size))


def test_each_list_has_at_most_one_walked_route(play: Play) -> None:
    labels = play.log.labels
    assert labels.dtype == np.float32
    assert (np.isin(labels, [0.0, OPENED]) | ((labels >= 0.5) & (labels <= 1.0))).all()
    walked = np.add.reduceat((labels >= 0.5).astype(int), play.log.offsets[:-1])
    assert walked.max() == 1
    assert 0.5 < walked.mean() < 1.0


def test_top_of_a_list_is_opened_more_often_than_ratings_explain(play: Play) -> None:
    top, bottom = play.log.position < 3, play.log.position >= 15
    opened = play.log.labels > 0
    fair = play.log.oracle[top].mean() / play.log.oracle[bottom].mean()
    assert opened[top].mean() > 1.5 * fair * opened[bottom].mean()


def test_expected_ratings_agree_with_simulated_behaviour(play: Play) -> None:
    opened = play.log.labels > 0
    assert play.log.oracle[opened].mean() > play.log.oracle[~opened].mean() + 0.15


def test_every_rating_is_for_a_shown_route_and_precedes_the_next_visit(play: Play) -> None:
    rated, log, visits = play.log.rated, play.log, play.visits
    order = np.lexsort((rated.at_s, rated.user))
    assert np.array_equal(order, np.arange(len(order)))
    for event, visit in enumerate(visits_of(play, rated)):
        at = slice(log.offsets[visit], log.offsets[visit + 1])
        rows = np.flatnonzero(log.rows[at] == rated.row[event])
        assert len(rows) == 1, "a rating of a route that was not shown"
        label = log.labels[at][rows[0]]
        assert label > 0
        if label >= 0.5:
            assert label == pytest.approx(0.5 + 0.5 * rated.rating[event])
            walked_s = (
                3600 * np.exp(play.truth.log_km[rated.row[event]]) / play.people.pace_kmh[rated.user[event]]
            )
            assert 0 < rated.at_s[event] - visits.at_s[visit] - walked_s < 120
    assert (log.labels >= 0.5).sum() <= len(rated)


def visits_of(play: Play, events: Events) -> np.ndarray:
    """Return each event's visit."""
    visits = play.visits
    key = visits.user * 1e10 + visits.at_s
    visit = np.searchsorted(key, events.user * 1e10 + events.at_s, side="right") - 1
    assert (visits.user[visit] == events.user).all()
    return np.asarray(visit)


def test_top_of_list_and_opened_routes_become_events(play: Play) -> None:
    log, lists_ = play.log, lists(play)
    assert np.array_equal(np.bincount(visits_of(play, log.shown)), np.full(len(lists_), TOP))
    for event in range(0, len(log.shown), 11):
        at = lists_[visits_of(play, log.shown)[event]]
        position = log.position[at][log.rows[at] == log.shown.row[event]]
        assert position[0] < TOP
    assert len(log.opened) == (log.labels > 0).sum()
    assert (log.opened.at_s > play.visits.at_s[visits_of(play, log.opened)]).all()


def test_routes_seen_too_often_are_liked_less(play: Play) -> None:
    users = len(play.people)
    memory = UserMemory(np.full((users, 2), -1), np.full((users, 3), -1))
    memory.walked[0], memory.seen[0] = [4, -1], [5, 5, 6]
    lost = memory.weariness(np.array([0, 1]), np.array([[4, 5, 6, 7]] * 2))
    assert lost[0] == pytest.approx([TIRED, 2 * SEEN, SEEN, 0.0])
    assert (lost[1] == 0).all()


def test_a_seed_gives_the_same_log(play: Play) -> None:
    first, second = (
        simulate(play.people, play.truth, play.news, play.visits, play.config, np.random.default_rng(9))
        for _ in range(2)
    )
    for name, values in vars(first).items():
        if isinstance(values, Events):
            for column, values_of_column in vars(values).items():
                assert np.array_equal(values_of_column, getattr(getattr(second, name), column)), (
                    name,
                    column,
                )
        else:
            assert np.array_equal(values, getattr(second, name)), name
