"""If the folder with the closures is missing, a closed street is still not shown as open."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models import atomic_directory
from models.features.catalogue import item_key
from models.features.live import LiveItems
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts
from services.errors import ConfigError
from services.releases.loading import load_release
from tests.models.crashing import killed_at
from tests.overlaid import FEATURES, live_folder, make_overlaid_pipeline, set_bonus

CALL_LIMIT = 1000


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> PipelineConfig:
    return load_config(make_overlaid_pipeline(tmp_path))


def with_live(config: PipelineConfig, folder: str | None) -> PipelineConfig:
    features = config.features.model_copy(update={"live": folder})
    return config.model_copy(update={"features": features})


def bonus_of(config: PipelineConfig, home: Path, item: str = "item-1") -> float:
    """Open the features as a replica does, and return the item's live feature."""
    release = load_release(config, home, ("features",))
    try:
        row = np.array([release.catalogue.row_by_id[item]])
        return float(release.view.live.columns(FEATURES.supplied("live"), row)["live.bonus"][0])
    finally:
        release.close()


def refusal(config: PipelineConfig, home: Path) -> str:
    """Return the error. A replica, ``rankway check`` and ``rankway features set`` must all refuse the pipeline."""
    with pytest.raises(ConfigError) as error:
        load_release(config, home, ("features",))
    assert error.value.field == "features.live"
    assert check_artifacts(config, home) == [str(error.value)]
    if config.features.live is not None:
        with pytest.raises(ConfigError, match="were set before"):
            set_bonus(config, home, 1.0, "item-2")
        assert not (home / config.features.live).exists()
    return str(error.value)


def test_first_start_has_no_features_and_leaves_no_mark(tmp_path: Path, config: PipelineConfig) -> None:
    assert bonus_of(config, tmp_path) == 0.0
    assert check_artifacts(config, tmp_path) == []
    assert not live_folder(config, tmp_path).mark.exists()


def test_refuses_pipeline_whose_features_were_set_and_are_missing(
    tmp_path: Path, config: PipelineConfig
) -> None:
    set_bonus(config, tmp_path, 64.0, "item-1")
    assert bonus_of(config, tmp_path) == 64.0
    (tmp_path / "live").rename(tmp_path / "kept")
    message = refusal(config, tmp_path)
    assert f"in {tmp_path / 'live'}, but are missing, got none at {tmp_path / 'live'}" in message
    assert f"remove {live_folder(config, tmp_path).mark}" in message
    (tmp_path / "kept").rename(tmp_path / "live")
    assert bonus_of(config, tmp_path) == 64.0
    shutil.rmtree(tmp_path / "live")
    live_folder(config, tmp_path).mark.unlink()  # the remedy that the error names
    assert bonus_of(config, tmp_path) == 0.0
    set_bonus(config, tmp_path, 8.0, "item-1")
    assert bonus_of(config, tmp_path) == 8.0


def test_refuses_an_empty_folder(tmp_path: Path, config: PipelineConfig) -> None:
    set_bonus(config, tmp_path, 64.0, "item-1")
    (tmp_path / "live" / "live.json").unlink()
    with pytest.raises(ConfigError, match="are missing, got none at"):
        load_release(config, tmp_path, ("features",))


def test_refuses_configuration_with_another_folder_or_none(tmp_path: Path, config: PipelineConfig) -> None:
    set_bonus(config, tmp_path, 64.0, "item-1")
    message = refusal(with_live(config, "other"), tmp_path)
    assert f"in {tmp_path / 'live'}, but are missing, got none at {tmp_path / 'other'}" in message
    assert "got no folder in the configuration" in refusal(with_live(config, None), tmp_path)
    (tmp_path / "live").rename(tmp_path / "other")
    assert bonus_of(with_live(config, "other"), tmp_path) == 64.0
    assert f"in {tmp_path / 'other'}, but are missing" in refusal(config, tmp_path)  # their last folder


def test_replica_leaves_the_mark_for_features_of_another_program(
    tmp_path: Path, config: PipelineConfig
) -> None:
    closed = LiveItems.none(FEATURES).setting(FEATURES, "bonus", np.array([item_key("item-1")]), 2.0)
    closed.write(tmp_path / "live", FEATURES)
    assert bonus_of(config, tmp_path) == 2.0
    shutil.rmtree(tmp_path / "live")
    assert "are missing" in refusal(config, tmp_path)


def test_read_only_home_serves_its_features(tmp_path: Path, config: PipelineConfig) -> None:
    LiveItems.none(FEATURES).setting(FEATURES, "bonus", np.array([item_key("item-1")]), 2.0).write(
        tmp_path / "live", FEATURES
    )
    (tmp_path / config.name).write_text("")  # a file in place of the mark's folder
    assert bonus_of(config, tmp_path) == 2.0
    set_bonus(config, tmp_path, 4.0, "item-1")
    assert bonus_of(config, tmp_path) == 4.0


@pytest.mark.parametrize("can_exchange", [True, False])
def test_killed_command_sets_all_or_nothing_and_a_replica_leaves_the_mark(
    tmp_path: Path, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic_directory, "exchanged", lambda _one, _other: False)
    mark, seen = live_folder(config, tmp_path).mark, set()
    for at in range(1, CALL_LIMIT, 2):
        killed = killed_at(at, lambda: set_bonus(config, tmp_path, 64.0, "item-1"))
        state = (mark.is_file(), (tmp_path / "live").is_dir())
        seen.add(state)
        assert state != (True, False)
        assert bonus_of(config, tmp_path) == (64.0 if state[1] else 0.0)
        assert mark.is_file() == state[1]
        if not killed:
            break
        shutil.rmtree(tmp_path / "live", ignore_errors=True)
        mark.unlink(missing_ok=True)
    assert not killed
    assert seen == {(False, False), (False, True), (True, True)}
    for at in range(1, CALL_LIMIT, 3):  # a later command that is killed keeps the old features
        killed = killed_at(at, lambda: set_bonus(config, tmp_path, 8.0, "item-2"))
        assert bonus_of(config, tmp_path) == 64.0
        if not killed:
            break
    assert bonus_of(config, tmp_path, "item-2") == 8.0


def test_failed_first_command_leaves_no_mark(
    tmp_path: Path, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(LiveItems, "write", full)
    with pytest.raises(ConfigError, match="no space left"):
        set_bonus(config, tmp_path, 64.0, "item-1")
    assert not live_folder(config, tmp_path).mark.exists()
    assert bonus_of(config, tmp_path) == 0.0


def test_writes_through_a_link_to_a_shared_folder(tmp_path: Path, config: PipelineConfig) -> None:
    shared = tmp_path / "shared" / "live"
    shared.mkdir(parents=True)
    (tmp_path / "live").symlink_to(shared)
    set_bonus(config, tmp_path, 64.0, "item-1")
    assert (tmp_path / "live").is_symlink()
    assert bonus_of(with_live(config, "shared/live"), tmp_path) == 64.0
