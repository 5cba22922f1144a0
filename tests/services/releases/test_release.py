from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.errors import FeatureMismatch
from models.ragged import RaggedBatch
from services.config.loading import load_config
from services.config.units import StageName
from services.errors import ConfigError
from services.releases.loading import load_release
from services.releases.release import Release
from services.stages.base import RemoteStage
from tests.pipelines import FEATURES, SPLIT, WITH_RERANKER, make_pipeline, merged, write_model

SPLIT_WITH_RERANKER = merged(
    WITH_RERANKER, merged(SPLIT, {"units": {"main": {"stages": ["features", "reranker"]}}})
)


def release_of(home: Path, *stages: StageName, changes: Mapping[str, Any] | None = None) -> Release:
    return load_release(load_config(make_pipeline(home, changes)), home, stages)


async def away(batch: RaggedBatch) -> RaggedBatch:
    return batch


def test_stages_are_in_request_order_with_remote_ones_in_their_place(tmp_path: Path) -> None:
    release = release_of(tmp_path, "features", "reranker", changes=SPLIT_WITH_RERANKER)
    remote = RemoteStage("ranker", away)
    assert [stage.name for stage in release.pipeline({"ranker": remote})] == [
        "features",
        "ranker",
        "reranker",
    ]
    assert release.pipeline({"ranker": remote})[1].rungs[0].stage is remote
    with pytest.raises(ConfigError, match="no unit has the stage ranker"):
        release.pipeline({})
    release.close()


def test_sorts_by_ranker_score_without_a_reranker(tmp_path: Path) -> None:
    release = release_of(tmp_path, "features", "ranker")
    assert [stage.name for stage in release.pipeline({})] == ["features", "ranker", "order"]
    release.close()


def test_the_name_is_the_same_in_every_unit_and_changes_with_a_model(tmp_path: Path) -> None:
    whole = release_of(tmp_path, "features", "reranker", changes=SPLIT_WITH_RERANKER)
    whole.close()
    scorer = release_of(tmp_path, "ranker", changes=SPLIT_WITH_RERANKER)
    assert whole.name == scorer.name
    assert set(whole.model_versions) == set(scorer.model_versions) == {"ranker", "reranker"}
    document = yaml.safe_load((tmp_path / "model" / "artifact.yaml").read_text())
    document["version"] = "another"
    (tmp_path / "model" / "artifact.yaml").write_text(yaml.safe_dump(document))
    other = load_release(load_config(tmp_path / "pipeline.yaml"), tmp_path, ("ranker",))
    assert other.name != whole.name


def test_refuses_models_and_catalogues_of_other_feature_definitions(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    config = load_config(tmp_path / "pipeline.yaml")
    artifact = tmp_path / "model" / "artifact.yaml"
    document = yaml.safe_load(artifact.read_text())
    document["signature"]["feature_hash"] = "0" * 16
    artifact.write_text(yaml.safe_dump(document))
    with pytest.raises(FeatureMismatch, match="train the model again"):
        load_release(config, tmp_path, ("ranker",))
    write_model(tmp_path / "model")
    changed = FEATURES.model_dump(mode="json")
    changed["features"][0]["default"] = 5.0
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(
        ConfigError,
        match=r"^catalogue: expected the feature hash of features\.definitions, .*, got .*; "
        "rebuild the catalogue and the definitions together$",
    ) as refused:
        load_release(config, tmp_path, ("ranker",))
    assert refused.value.field == "catalogue"


def test_a_unit_opens_only_what_its_stages_need(tmp_path: Path) -> None:
    make_pipeline(tmp_path, SPLIT)
    config = load_config(tmp_path / "pipeline.yaml")
    store = tmp_path / "users.lmdb"
    store.rename(tmp_path / "elsewhere")
    assert list(load_release(config, tmp_path, ("ranker",)).models) == ["ranker"]
    with pytest.raises(ConfigError, match="no feature store"):
        load_release(config, tmp_path, ("features",))
