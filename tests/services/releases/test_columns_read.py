"""The features stage computes the columns that the models and rules read, and all if anything else may read them."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from models.artifact import Artifact
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.releases.columns_read import columns_read
from services.releases.loading import load_release
from services.stages.query import Query, merge_queries
from tests.overlaid import make_overlaid_pipeline


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> PipelineConfig:
    return load_config(make_overlaid_pipeline(tmp_path))


def with_changes(config: PipelineConfig, **changes: object) -> PipelineConfig:
    return PipelineConfig.model_validate(config.model_dump(mode="json", exclude_none=True) | changes)


def test_a_release_computes_only_columns_that_its_model_reads(config: PipelineConfig, tmp_path: Path) -> None:
    release = load_release(config, tmp_path, ["features", "ranker"])
    query = Query(b"u", release.layout.encode({}), np.arange(5), float("inf"), 0, 5)
    batch = merge_queries([query, replace(query, user_key=b"other")], "", release.layout, release.source)
    limited = release.stages["features"](batch)
    assert set(limited.requests) == {"context.now_s", "realtime.visits", "global.rain"}
    assert set(limited.candidates) == {"cell.crowd", "live.bonus"}
    scores = release.stages["ranker"](limited).candidates["score"]
    release.view.limit_to(None)
    everything = release.stages["features"](batch)
    assert "user.home" in everything.requests
    assert release.stages["ranker"](everything).candidates["score"].tobytes() == scores.tobytes()
    release.close()


def test_a_served_log_or_another_unit_reads_all_columns(config: PipelineConfig, tmp_path: Path) -> None:
    artifacts = {"ranker": Artifact.read(tmp_path / "model")}
    units = {"front": {"stages": ["features"]}, "back": {"stages": ["ranker"]}}
    assert columns_read(config, artifacts) is not None
    assert columns_read(with_changes(config, log={"path": "log"}), artifacts) is None
    assert columns_read(with_changes(config, units=units), artifacts) is None


def test_the_rules_of_a_reranker_are_read_too(config: PipelineConfig, tmp_path: Path) -> None:
    artifacts = {"ranker": Artifact.read(tmp_path / "model")}
    rules = {"closed": "live.bonus", "seen": {"within_days": 7}}
    units = {"main": {"stages": ["features", "ranker", "reranker"]}}
    changed = with_changes(config, reranker={"model": "ranker", "rules": rules}, units=units)
    read = columns_read(changed, artifacts)
    assert read is not None
    assert read >= {"live.bonus", "user.history", "user.history_at_s", "context.now_s", "realtime.visits"}
