import numpy as np
import pytest

from models.ragged import RaggedArray
from tests.walks.conftest import Play
from walks.datasets import PRIOR_RATINGS, histories, popularity, rating_events
from walks.features import HISTORY


def test_a_history_holds_exactly_what_was_rated_before(play: Play) -> None:
    log, visits = play.log, play.visits
    keys = np.arange(len(play.truth.charm)) + 1_000
    events = rating_events(log, keys, 0.0, play.config.users)
    columns = histories(events, visits.user, visits.at_s)
    for request in range(0, len(visits.user), 7):
        user, now = visits.user[request], visits.at_s[request]
        before = np.flatnonzero((log.event_user == user) & (log.event_s < now))[-HISTORY:]
        got = {name: column[request] for name, column in columns.items() if isinstance(column, RaggedArray)}
        assert np.array_equal(got["user.history"], keys[log.event_row[before]])
        assert np.array_equal(got["user.history_rating"], log.event_rating[before])
        assert np.array_equal(got["user.history_at_s"], log.event_s[before])
        assert (np.diff(log.event_s[before]) >= 0).all(), "not oldest first"


def test_the_newest_ratings_are_kept(play: Play) -> None:
    users = np.arange(play.config.users)
    keys = np.arange(len(play.truth.charm))
    events = rating_events(play.log, keys, 0.0, len(users))
    columns = histories(events, users, np.full(len(users), 1e9))
    history = columns["user.history"]
    assert isinstance(history, RaggedArray)
    assert np.diff(history.offsets).max() == HISTORY  # this world's users rate more than that
    given = np.bincount(play.log.event_user, minlength=len(users))
    assert np.array_equal(np.diff(history.offsets), np.minimum(given, HISTORY))


def test_popularity_sees_only_the_past(play: Play) -> None:
    log, routes = play.log, len(play.truth.charm)
    split = float(np.median(log.event_s))
    got = popularity(log, routes, split)
    past = log.event_s < split
    mean = log.event_rating[past].mean()
    row = int(np.bincount(log.event_row[past], minlength=routes).argmax())
    own = log.event_rating[past & (log.event_row == row)]
    assert got.dtype == np.float32
    assert got[row] == pytest.approx(
        (own.sum() + PRIOR_RATINGS * mean) / (len(own) + PRIOR_RATINGS), rel=1e-5
    )


def test_without_ratings_every_route_is_middling(play: Play) -> None:
    assert popularity(play.log, 5, before_s=-1.0) == pytest.approx([0.5] * 5)
