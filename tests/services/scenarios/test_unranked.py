"""A pipeline without a ranker: it is checked, served, measured, simulated and rendered like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoscale.spec import Key
from services.app import StandaloneApp
from services.autoscaling.spec import lowered
from services.config.loading import load_config
from services.config.placement import all_placements
from services.deployment.check import check_artifacts
from services.deployment.serve_config import serve_config
from services.profiling.batches import UnitBatches
from services.releases.loading import load_release
from tests.pipelines import make_unranked
from tests.services.servers import ask, http_server, rank_request

POPULAR: dict[str, Any] = {"popular": {"column": "value"}}
RERANKED: dict[str, Any] = {
    "models": {"reranker": {"artifact": "reranker", "runtime": {"kind": "onnx"}}},
    "reranker": {"model": "reranker", "best": 30},
    "units": {"main": {"stages": ["features", "reranker"]}},
}
NAMED = ["item-0007", "item-0200", "item-0003"]


@pytest.mark.parametrize(
    ("changes", "ids", "scores"),
    [
        ({}, NAMED, [1.0, 0.5, np.float32(1 / 3)]),
        (POPULAR, ["item-0200", "item-0007", "item-0003"], [200.0, 7.0, 3.0]),
        ({**POPULAR, **RERANKED}, ["item-0200", "item-0007", "item-0003"], [200.5, 7.5, 3.5]),
        ({**POPULAR, "fallback": {}}, ["item-0200", "item-0007", "item-0003"], [200.0, 7.0, 3.0]),
    ],
    ids=["their order", "popularity", "reranked popularity", "with a fallback"],
)
def test_answer_is_whole(
    tmp_path: Path, changes: dict[str, Any], ids: list[str], scores: list[float]
) -> None:
    path = make_unranked(tmp_path, changes)
    assert check_artifacts(load_config(path), tmp_path) == []
    with http_server(StandaloneApp(path, tmp_path)) as port:
        reply = ask(port, rank_request({"user_id": "u1", "candidates": NAMED, "explain": True})).json
        assert [item["id"] for item in reply["items"]] == ids
        assert [item["score"] for item in reply["items"]] == scores
        assert reply["degraded"] is None
        assert set(reply["models"]) == ({"release", "reranker"} if "reranker" in changes else {"release"})
        drawn = ask(port, rank_request({"user_id": "nobody", "k": 5})).json
        assert len(drawn["items"]) == 5


def test_check_names_a_popularity_that_does_not_exist(tmp_path: Path) -> None:
    path = make_unranked(tmp_path, {"popular": {"column": "fame"}})
    (fault,) = check_artifacts(load_config(path), tmp_path)
    assert fault.startswith("popular.column: the catalogue has no column 'fame'")


def test_unit_is_placed_sized_and_measured_like_any_other(tmp_path: Path) -> None:
    config = load_config(make_unranked(tmp_path, POPULAR))
    assert [placement.key for placement in all_placements(config)] == [Key("main", "local")]
    assert [unit.name for unit in lowered(config, {}).units] == ["main"]
    assert serve_config(config, tmp_path)["applications"][0]["args"]["config"]["ranker"] is None
    release = load_release(config, tmp_path, ("features",))
    names = [ladder.name for ladder in release.pipeline({})]
    release.retire()
    release.close()
    assert names == ["features", "popular", "order"]
    batches = UnitBatches(config, tmp_path, "main")
    batches.job(2, 40)()
    assert batches.fallback_us_per_candidate(40) == 0.0
    batches.close()
