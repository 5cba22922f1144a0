"""Users without stored features: a share of training lists per feature group, drawn reproducibly."""

import numpy as np

from models.features.aggregates import Aggregate
from models.features.definition import Feature, FeatureSet
from models.ragged import RaggedArray, RaggedBatch
from models.training.examples.cold_users import some_unknown

REQUESTS = 2000
FEATURES = FeatureSet(
    features=(
        Feature(name="now_s", group="context", dtype="float64"),
        Feature(name="profile", group="user", shape=(2,), default=(3.0, 4.0)),
        Feature(name="place", group="realtime", default=7.0),
        Feature(
            name="track",
            group="realtime",
            ragged=True,
            max_length=4,
            aggregate=Aggregate(kind="last_values", event="position", field="track"),
        ),
    )
)


def batch() -> RaggedBatch:
    lengths = np.arange(REQUESTS) % 4 + 1
    return RaggedBatch(
        offsets=np.arange(REQUESTS + 1),
        rows=np.zeros(REQUESTS, dtype=np.int64),
        requests={
            "context.now_s": np.ones(REQUESTS),
            "user.profile": np.ones((REQUESTS, 2), dtype=np.float32),
            "realtime.place": np.ones(REQUESTS, dtype=np.float32),
            "realtime.track": RaggedArray(
                np.repeat(np.arange(REQUESTS, dtype=np.float32), lengths),
                np.concatenate([[0], lengths.cumsum()]),
            ),
        },
    )


def test_share_of_the_lists_gets_the_defaults_of_one_whole_group() -> None:
    result = some_unknown(batch(), FEATURES, {"realtime": 0.3}, seed=5)
    position, track = result.requests["realtime.place"], result.requests["realtime.track"]
    assert isinstance(position, np.ndarray)
    assert isinstance(track, RaggedArray)
    unknown = position == 7.0
    assert 0.25 < unknown.mean() < 0.35
    for request in range(REQUESTS):
        expected = [] if unknown[request] else [float(request)] * (request % 4 + 1)
        assert track[request].tolist() == expected
    assert (np.asarray(result.requests["user.profile"]) == 1.0).all()


def test_groups_are_drawn_independently_and_reproducibly() -> None:
    shares = {"user": 0.5, "realtime": 0.5}
    first, again = (some_unknown(batch(), FEATURES, shares, seed=5) for _ in range(2))  # type: ignore[arg-type]
    profile, position = (np.asarray(first.requests[name]) for name in ("user.profile", "realtime.place"))
    np.testing.assert_array_equal(position, np.asarray(again.requests["realtime.place"]))
    both = ((profile[:, 0] == 3.0) & (position == 7.0)).mean()
    assert 0.2 < both < 0.3
    assert set(map(tuple, profile[profile[:, 0] == 3.0].tolist())) == {(3.0, 4.0)}


def test_without_shares_the_batch_is_unchanged() -> None:
    whole, result = batch(), some_unknown(batch(), FEATURES, {}, seed=5)
    assert all(result.requests[name] is not None for name in whole.requests)
    np.testing.assert_array_equal(
        np.asarray(result.requests["realtime.place"]), np.asarray(whole.requests["realtime.place"])
    )
