"""The feature view: stored rows, overlay and derived features as one batch's columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.aggregates import Aggregate
from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.overlay import Overlay
from models.features.transforms import Affine, Age, Cycle
from models.features.view import FeatureView
from models.ragged import RaggedArray, RaggedBatch

DAY_S = 86_400.0
FEATURES = FeatureSet(
    features=(
        Feature(name="now_s", group="context", dtype="float64"),
        Feature(name="hour", group="context", transform=Cycle(of="context.now_s", period=DAY_S, unit=3600.0)),
        Feature(name="pace", group="user", default=5.0, fresh_for_s=10 * DAY_S),
        Feature(
            name="visited",
            group="realtime",
            dtype="float64",
            ragged=True,
            max_length=3,
            aggregate=Aggregate(kind="last_values", event="visit"),
        ),
        Feature(
            name="visited_days",
            group="realtime",
            ragged=True,
            max_length=3,
            transform=Age(of="realtime.visited", unit_s=DAY_S),
        ),
        Feature(name="rain_mm", group="global", default=0.5),
        Feature(name="rain_cm", group="global", transform=Affine(of="global.rain_mm", scale=0.1)),
        Feature(name="news_at_s", group="cell", dtype="float64"),
        Feature(name="news_days", group="cell", transform=Age(of="cell.news_at_s", unit_s=DAY_S)),
        Feature(name="length_m", group="item"),
        Feature(name="length_km", group="item", transform=Affine(of="item.length_m", scale=1e-3)),
    )
)
NOW_S = np.array([20 * DAY_S + 3600.0, 40 * DAY_S])


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return catalogue_at(tmp_path / "catalogue", np.array([0, 1, -1], dtype=np.int16))


def catalogue_at(root: Path, cell: NDArray[Any]) -> Catalogue:
    write_catalogue(
        root,
        name="small",
        version="1",
        features=FEATURES,
        ids=["a", "b", "c"],
        columns={"cell": cell, "length_m": np.full(3, 1500.0, dtype=np.float32)},
        details=[b"{}"] * 3,
    )
    return Catalogue.open(root)


def overlay() -> Overlay:
    return Overlay(
        times_s=np.array([10 * DAY_S, 30 * DAY_S]),
        globals={"rain_mm": np.array([1.0, 2.0], dtype=np.float32)},
        cells={"news_at_s": np.array([[5.0, 6.0], [25.0, 26.0]]) * DAY_S},
    )


def batch_of(catalogue: Catalogue) -> RaggedBatch:
    rows = np.array([catalogue.row_by_id[item] for item in "abcab"])
    return RaggedBatch(offsets=np.array([0, 3, 5]), rows=rows, requests={"context.now_s": NOW_S})


def test_every_group_has_its_columns_at_the_time_of_each_request(catalogue: Catalogue) -> None:
    view = FeatureView(FEATURES, catalogue, overlay())
    pace = view.codecs["user"].encode({"pace": np.array(6.0)}, at_s={"pace": 15 * DAY_S})
    visits = None
    for sequence, day in enumerate((39, 19, 10, 18)):
        visits = view.codecs["realtime"].with_event(visits, "visit", day * DAY_S, sequence, {})
    result, unreadable = view.decoded(
        batch_of(catalogue), {"user": [pace, pace], "realtime": [visits, visits]}
    )
    requests, candidates = result.requests, result.candidates
    assert unreadable == {}
    np.testing.assert_array_equal(requests["context.hour"], [1.0, 0.0])
    np.testing.assert_array_equal(requests["user.pace"], [6.0, 5.0])  # 25 days later it is no longer fresh
    np.testing.assert_array_equal(requests["global.rain_mm"], [1.0, 2.0])
    np.testing.assert_allclose(np.asarray(requests["global.rain_cm"]), [0.1, 0.2])
    ages = requests["realtime.visited_days"]
    assert isinstance(ages, RaggedArray)
    np.testing.assert_allclose(ages[0], [2 + 1 / 24, 1 + 1 / 24], rtol=1e-6)
    np.testing.assert_array_equal(ages[1], [22.0, 21.0, 1.0])
    news = NOW_S[[0, 0, 0, 1, 1]] / DAY_S - [5.0, 6.0, NOW_S[0] / DAY_S * 0, 25.0, 26.0]
    np.testing.assert_allclose(candidates["cell.news_days"], news, rtol=1e-6)
    assert candidates["cell.news_at_s"][2] == 0.0  # in no cell


def test_unknown_users_without_an_overlay_have_the_defaults(catalogue: Catalogue) -> None:
    supplied = FeatureView(FEATURES, catalogue).of_unknown_users(batch_of(catalogue))
    np.testing.assert_array_equal(supplied.requests["user.pace"], [5.0, 5.0])
    np.testing.assert_array_equal(supplied.requests["global.rain_mm"], [0.5, 0.5])
    assert len(supplied.requests["realtime.visited_days"]) == 2
    assert supplied.candidates["cell.news_days"].shape == (5,)


def test_keeps_columns_that_a_batch_already_has(catalogue: Catalogue) -> None:
    view = FeatureView(FEATURES, catalogue, overlay())
    served = view.of_unknown_users(batch_of(catalogue))
    served = served.adding(
        requests={"global.rain_cm": np.array([9.0, 9.0])}, candidates={"cell.news_days": np.arange(5.0)}
    )
    again = view.completed(served)
    np.testing.assert_array_equal(again.requests["global.rain_cm"], [9.0, 9.0])
    np.testing.assert_array_equal(again.candidates["cell.news_days"], np.arange(5.0))


@given(wanted=st.sets(st.sampled_from([f.column for f in FEATURES.features if f.group != "item"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_limited_view_computes_the_wanted_columns_with_the_same_bits(
    catalogue: Catalogue, wanted: set[str]
) -> None:
    view = FeatureView(FEATURES, catalogue, overlay())
    everything = view.of_unknown_users(batch_of(catalogue))
    view.limit_to(wanted)
    limited = view.of_unknown_users(batch_of(catalogue))
    assert {*limited.requests, *limited.candidates} >= wanted
    for name, values in limited.candidates.items():
        assert values.tobytes() == everything.candidates[name].tobytes()
    for name, column in limited.requests.items():
        other = everything.requests[name]
        assert np.asarray(getattr(column, "values", column)).tobytes() == (
            np.asarray(getattr(other, "values", other)).tobytes()
        )


def test_a_limited_view_computes_no_other_column(catalogue: Catalogue) -> None:
    view = FeatureView(FEATURES, catalogue, overlay())
    view.limit_to({"global.rain_cm", "item.length_m", "candidate.score"})
    limited = view.of_unknown_users(batch_of(catalogue))
    assert set(limited.requests) == {"context.now_s", "global.rain_mm", "global.rain_cm"}
    assert set(limited.candidates) == set()
    view.overlay = replace(overlay(), globals={"rain_mm": np.full(2, 30.0, dtype=np.float32)})
    newer = view.of_unknown_users(batch_of(catalogue))
    np.testing.assert_array_equal(newer.requests["global.rain_mm"], [30.0, 30.0])
    assert newer.requests.keys() == limited.requests.keys()


def test_newer_overlay_replaces_the_old_one(catalogue: Catalogue) -> None:
    view = FeatureView(FEATURES, catalogue, overlay())
    newer = replace(overlay(), globals={"rain_mm": np.full(2, 30.0, dtype=np.float32)})
    view.overlay = newer
    supplied = view.of_unknown_users(batch_of(catalogue))
    np.testing.assert_array_equal(supplied.requests["global.rain_mm"], [30.0, 30.0])


def test_cell_features_need_a_cell_column_in_the_catalogue(tmp_path: Path) -> None:
    bad = catalogue_at(tmp_path / "floats", np.zeros(3, dtype=np.float32))
    with pytest.raises(ArtifactError, match="no integer column 'cell'"):
        FeatureView(FEATURES, bad)
