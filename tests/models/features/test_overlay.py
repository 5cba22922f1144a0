"""Overlays: the newest snapshot at or before a time, freshness, and errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ArtifactError, FeatureMismatch
from models.features.definition import Feature, FeatureSet
from models.features.overlay import INDEX, Overlay
from models.features.overlay_columns import OverlayColumns

RAIN = Feature(name="rain_mm", group="global", default=-1.0, fresh_for_s=100.0)
WIND = Feature(name="wind", group="global", shape=(2,), default=(7.0, 8.0))
CROWD = Feature(name="crowd", group="cell", default=-2.0, fresh_for_s=30.0)
NOW = Feature(name="now_s", group="context", dtype="float64")
FEATURES = FeatureSet(features=(RAIN, WIND, CROWD, NOW))
CELLS = 3


def overlay_at(*times_s: float) -> Overlay:
    """Return an overlay whose snapshot t has rain t, wind (t, t), and in cell c a crowd of 10 t + c."""
    number = np.arange(len(times_s), dtype=np.float32)
    return Overlay(
        times_s=np.array(times_s, dtype=np.float64),
        globals={"rain_mm": number, "wind": np.repeat(number[:, None], 2, axis=1)},
        cells={"crowd": 10 * number[:, None] + np.arange(CELLS, dtype=np.float32)},
    )


@given(
    st.lists(st.integers(0, 300).map(float), unique=True, max_size=6).map(sorted),
    st.lists(st.tuples(st.integers(-10, 450).map(float), st.integers(-1, CELLS)), min_size=1, max_size=8),
)
def test_each_time_has_the_newest_earlier_snapshot_or_the_default_if_none_is_fresh(
    times_s: list[float], queries: list[tuple[float, int]]
) -> None:
    overlay = overlay_at(*times_s)
    now_s, cell = np.array([moment for moment, _ in queries]), np.array([c for _, c in queries])
    overlaid = OverlayColumns(overlay, (RAIN, WIND, CROWD))
    moments = overlaid.at(now_s)
    columns = overlaid.of_requests(moments)
    rain, wind = columns["global.rain_mm"], columns["global.wind"]
    one_each = np.ones(len(queries), dtype=np.int64)
    crowd = overlaid.of_candidates(["cell.crowd"], moments, cell, one_each)["cell.crowd"]
    for index, (moment, c) in enumerate(queries):
        past = [(at, number) for number, at in enumerate(times_s) if at <= moment]
        at, number = past[-1] if past else (-np.inf, -1)
        assert rain[index] == (number if past and moment - at <= 100 else -1)
        assert wind[index].tolist() == ([number, number] if past else [7.0, 8.0])
        known = past and moment - at <= 30 and 0 <= c < CELLS
        assert crowd[index] == (10 * number + c if known else -2)
    assert rain.dtype == crowd.dtype == np.float32


def test_reads_a_written_overlay_and_a_newer_folder_that_replaces_it(tmp_path: Path) -> None:
    root = tmp_path / "overlay"
    overlay_at(0.0, 10.0).write(root, FEATURES)
    first = Overlay.open(root, FEATURES)
    overlay_at(0.0, 10.0, 20.0).write(root, FEATURES)
    second = Overlay.open(root, FEATURES)
    assert first.times_s.tolist() == [0.0, 10.0]
    assert first.cells["crowd"][1].tolist() == [10.0, 11.0, 12.0]  # still mapped, though its folder is gone
    assert second.times_s.tolist() == [0.0, 10.0, 20.0]
    assert second.cell_count == CELLS


def changed(**arrays: Any) -> Overlay:
    whole = overlay_at(0.0, 1.0)
    return Overlay(
        arrays.get("times_s", whole.times_s),
        {**whole.globals, **arrays.get("globals", {})},
        {**whole.cells, **arrays.get("cells", {})},
    )


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (changed(times_s=np.array([1.0, 1.0])), "times_s must be finite and ascending"),
        (changed(times_s=np.array([1.0, np.nan])), "times_s must be finite and ascending"),
        (
            changed(globals={"snow": np.zeros(2, np.float32)}),
            "global features must be exactly",
        ),
        (
            changed(globals={"rain_mm": np.zeros(2)}),
            r"global\.rain_mm must be float32 of shape \(2,\), got float64",
        ),
        (
            changed(cells={"crowd": np.zeros((3, CELLS), np.float32)}),
            r"cell\.crowd must be float32 of shape \(2, 3\), got float32 of shape \(3, 3\)",
        ),
        (
            changed(cells={"crowd": np.zeros(2, np.float32)}),
            r"cell\.crowd must be float32 of shape \(2, 0\), got float32 of shape \(2,\)",
        ),
        (changed(times_s=np.array([[1.0, 2.0]])), "times_s must be finite and ascending"),
        (changed(cells={"crowd": np.full((2, CELLS), np.nan, np.float32)}), "contains NaN or infinity"),
    ],
)
def test_refuses_to_write_values_that_do_not_match_the_definitions(
    tmp_path: Path, overlay: Overlay, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        overlay.write(tmp_path / "overlay", FEATURES)
    assert list(tmp_path.iterdir()) == []


def test_reports_an_overlay_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no overlay at"):
        Overlay.open(tmp_path, FEATURES)
    overlay_at(0.0).write(tmp_path / "overlay", FEATURES)
    other = RAIN.model_copy(update={"default": 0.0})
    with pytest.raises(FeatureMismatch, match="write it again with the current definitions"):
        Overlay.open(tmp_path / "overlay", FeatureSet(features=(other, WIND, CROWD, NOW)))
    (tmp_path / "overlay" / "cell.crowd.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Overlay.open(tmp_path / "overlay", FEATURES)
    (tmp_path / "overlay" / INDEX).write_text(json.dumps({"feature_hash": 1}))
    with pytest.raises(ArtifactError, match="cannot be read"):
        Overlay.open(tmp_path / "overlay", FEATURES)
