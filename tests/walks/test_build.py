import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.definition import Group
from models.features.overlay import Overlay
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedArray
from tests.walks.maps import grid_map, write_osm
from walks.build import STAGES, build_world
from walks.data.features import FEATURES
from walks.data.user_features import HISTORY
from walks.errors import BadMapError, BadModelError, BadSeriesError, TooFewRoutesError
from walks.presets import PRESETS
from walks.simulation.weather import DAY_S, PERIOD_END
from walks.sources import MAP, locate
from walks.world import World, inputs_of

TINY = PRESETS["tiny"]


def digests(root: Path) -> dict[str, str]:
    """Return hashes of the files that must be the same in each build."""
    changing = {"build.json", "data.mdb", "lock.mdb"}  # contain seconds, and LMDB's page numbers
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in changing
    }


def unknown_hours(path: Path, series: Path) -> Path:
    """Write the series without temperatures in August 2018."""
    lines = series.read_text().splitlines()
    broken = [re.sub(r"^([^,]*),[^,]*,", r"\1,nan,", line) if ",2018-08" in line else line for line in lines]
    path.write_text("\n".join(broken) + "\n")
    return path


@pytest.mark.parametrize("split", ["train", "valid"])
def test_impressions_have_every_declared_feature(world: World, split: str) -> None:
    catalogue = Catalogue.open(world.catalogue)
    batch, labels = read_impressions(
        world.impressions(split), feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys
    )
    batch = FeatureView(FEATURES, catalogue, Overlay.open(world.overlay, FEATURES)).completed(batch)
    assert len(labels) == batch.candidate_count
    assert (batch.rows >= 0).all()
    groups: tuple[Group, ...] = ("user", "realtime", "context", "global")
    for group in groups:
        for feature in FEATURES.group(group):
            if feature.is_text:
                continue  # callers send texts, and the simulation has none
            column = batch.requests[f"{group}.{feature.name}"]
            assert len(column) == len(batch)
            values = column.values if isinstance(column, RaggedArray) else column
            assert values.dtype == feature.dtype
            assert values.shape[1:] == feature.shape
            assert np.isfinite(values).all()
            if feature.minimum is not None and feature.maximum is not None:
                assert (values >= np.asarray(feature.minimum)).all()
                assert (values <= np.asarray(feature.maximum)).all()
    history = batch.requests["user.history"]
    assert isinstance(history, RaggedArray)
    assert np.diff(history.offsets).max() <= HISTORY
    assert (catalogue.rows_of_keys(history.values) >= 0).all()


def test_held_out_lists_are_the_latest(world: World) -> None:
    at_s = {split: np.load(world.impressions(split) / "at_s.npy") for split in ("train", "valid")}
    split_s = float(PERIOD_END.astype("datetime64[s]").astype(int)) - DAY_S * TINY.valid_days
    assert at_s["train"].max() < split_s <= at_s["valid"].min()
    for times in at_s.values():
        assert (np.diff(times) >= 0).all()
    assert 0.05 < len(at_s["valid"]) / len(at_s["train"]) < 0.4


def test_oracle_has_one_value_per_label(world: World) -> None:
    root = world.impressions("train")
    labels, oracle = np.load(root / "labels.npy"), np.load(root / "oracle.npy")
    assert labels.shape == oracle.shape == np.load(root / "position.npy").shape
    assert np.corrcoef(labels, oracle)[0, 1] > 0.2


def test_manifest_has_counts_and_attributions(world: World) -> None:
    manifest = json.loads(world.manifest.read_text())
    assert manifest["counts"]["routes"] == TINY.routes
    assert manifest["counts"]["users"] == TINY.users
    assert manifest["map"]["attribution"] == "© OpenStreetMap contributors, ODbL 1.0"
    assert "not from real persons" in manifest["simulated"]
    assert set(manifest["seconds"]) == set(STAGES)
    assert manifest["feature_hash"] == FEATURES.content_hash


def test_the_news_can_be_read(world: World) -> None:
    lines = [json.loads(line) for line in world.news.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == json.loads(world.manifest.read_text())["counts"]["news"]
    assert all(news["from_s"] < news["until_s"] and news["text"].endswith(".") for news in lines)


def test_building_again_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    again = World(tmp_path / "again")
    lines: list[str] = []
    build_world(inputs_of("tiny"), again, "tiny", lambda stage, stages: lines.append(stage))
    assert digests(again.root) == digests(world.root)
    assert lines == list(STAGES)


@pytest.mark.parametrize("broken", ["map", "no way", "weather", "not a number", "routes", "encoder"])
def test_bad_input_keeps_the_old_world_and_leaves_no_partial_files(tmp_path: Path, broken: str) -> None:
    world = World(tmp_path / "walks" / "tiny")
    world.root.mkdir(parents=True)
    world.manifest.write_text("{}")
    good = inputs_of("tiny")
    half = tmp_path / "half.osm.pbf"
    half.write_bytes(locate(MAP).read_bytes()[:200_000])
    series = tmp_path / "series.csv"
    series.write_text("holiday,temp,rain_1h,weather_main,date_time,traffic_volume\n")
    small = TINY.model_copy(update={"proposals": 200, "anchors": 20})
    bad, error = {
        "map": (replace(good, map=half), BadMapError),
        "no way": (
            replace(good, map=write_osm(tmp_path / "empty.osm", {1: (60.17, 24.94, {})}, [])),
            BadMapError,
        ),
        "weather": (replace(good, weather=series), BadSeriesError),
        "not a number": (
            replace(good, weather=unknown_hours(tmp_path / "nan.csv", good.weather)),
            BadSeriesError,
        ),
        "routes": (replace(good, map=grid_map(tmp_path / "grid.osm", 5, 5), config=small), TooFewRoutesError),
        "encoder": (
            replace(good, encoder=half, config=small.model_copy(update={"routes": 10})),
            BadModelError,
        ),
    }[broken]
    with pytest.raises(error):
        build_world(bad, world, "tiny", lambda stage, stages: None)
    assert world.manifest.read_text() == "{}"
    assert [path.name for path in world.root.parent.iterdir()] == ["tiny"]
