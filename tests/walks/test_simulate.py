import numpy as np
import pytest

from tests.walks.conftest import Play
from walks.simulate import OPENED, simulate


def lists(play: Play) -> list[slice]:
    """Where each list lies."""
    return [slice(a, b) for a, b in zip(play.log.offsets[:-1], play.log.offsets[1:], strict=True)]


def test_lists_are_distinct_routes_in_an_order_that_tells_nothing(play: Play) -> None:
    for at in lists(play):
        assert (np.diff(play.log.rows[at]) > 0).all()
        size = at.stop - at.start
        assert play.config.min_list <= size <= play.config.max_list
        assert sorted(play.log.position[at]) == list(range(size))


def test_relevance_is_none_opened_or_walked_at_most_once(play: Play) -> None:
    labels = play.log.labels
    assert labels.dtype == np.float32
    assert (np.isin(labels, [0.0, OPENED]) | ((labels >= 0.5) & (labels <= 1.0))).all()
    walked = np.add.reduceat((labels >= 0.5).astype(int), play.log.offsets[:-1])
    assert walked.max() == 1
    assert 0.5 < walked.mean() < 1.0


def test_the_top_of_a_list_is_opened_more_often_than_it_deserves(play: Play) -> None:
    top, bottom = play.log.position < 3, play.log.position >= 15
    opened = play.log.labels > 0
    fair = play.log.oracle[top].mean() / play.log.oracle[bottom].mean()
    assert opened[top].mean() > 1.5 * fair * opened[bottom].mean()


def test_what_the_simulation_expects_agrees_with_what_happens(play: Play) -> None:
    opened = play.log.labels > 0
    assert play.log.oracle[opened].mean() > play.log.oracle[~opened].mean() + 0.15


def test_every_walk_is_rated_when_it_ends_and_before_the_next_visit(play: Play) -> None:
    log, visits = play.log, play.visits
    order = np.lexsort((log.event_s, log.event_user))
    assert np.array_equal(order, np.arange(len(order)))
    key = visits.user * 1e9 + visits.at_s
    visit = np.searchsorted(key, log.event_user * 1e9 + log.event_s, side="left") - 1
    assert (visits.user[visit] == log.event_user).all()
    for event, of in enumerate(visit):
        at = slice(log.offsets[of], log.offsets[of + 1])
        found = np.flatnonzero(log.rows[at] == log.event_row[event])
        assert len(found) == 1, "a rating of a route that was not shown"
        label = log.labels[at][found[0]]
        assert label > 0
        if label >= 0.5:
            assert label == pytest.approx(0.5 + 0.5 * log.event_rating[event])
            assert log.event_s[event] == pytest.approx(visits.at_s[of] + 60 * visits.moment.minutes[of])
    assert (log.labels >= 0.5).sum() <= len(log.event_s)


def test_a_seed_gives_the_same_log(play: Play) -> None:
    first, second = (
        simulate(play.people, play.truth, play.visits, play.config, np.random.default_rng(9))
        for _ in range(2)
    )
    for name, values in vars(first).items():
        assert np.array_equal(values, getattr(second, name)), name
