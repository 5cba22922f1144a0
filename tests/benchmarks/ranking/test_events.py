"""A small synthetic event log becomes a table: data set, training, baselines and evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import quality
from benchmarks.ranking import events
from benchmarks.ranking.baselines import item_knn, past_of, popularity
from benchmarks.ranking.events import EventEvaluation, fitting_of
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.datasets import updating
from models.datasets.build import EventData, write_event_data
from models.datasets.config import EventsConfig
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from tests.models.datasets.logs import make_log

CONFIG = EventsConfig(set="movielens-100k", history=8)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def evaluation(tmp_path: Path) -> tuple[EventEvaluation, EventData]:
    data = EventData(tmp_path / "data")
    write_event_data(make_log(), CONFIG, data)
    return EventEvaluation(Catalogue.open(data.catalogue), repeats=False), data


def test_never_ranks_items_that_the_user_has_seen(evaluation: tuple[EventEvaluation, EventData]) -> None:
    evaluator, data = evaluation
    for batch, labels in evaluator.blocks(evaluator.split(data.impressions / "test")):
        past = past_of(batch, evaluator.catalogue, None).toarray()
        assert past[batch.request_of(), batch.rows].sum() == 0
        assert (np.diff(batch.offsets) + past.sum(axis=1) == len(evaluator.catalogue)).all()
        assert labels.sum() > 0


def test_baselines_are_fitted_on_events_before_validation_only(
    evaluation: tuple[EventEvaluation, EventData],
) -> None:
    evaluator, data = evaluation
    fitting = fitting_of(make_log(), CONFIG, evaluator.catalogue)
    assert fitting.at_s.max() < json.loads(data.manifest.read_text())["valid_from_s"]


def test_past_is_limited_to_the_newest_items(evaluation: tuple[EventEvaluation, EventData]) -> None:
    evaluator, data = evaluation
    batch, _ = next(evaluator.blocks(evaluator.split(data.impressions / "test")))
    lengths = np.diff(batch.requests["user.history"].offsets)  # type: ignore[union-attr]
    assert (
        past_of(batch, evaluator.catalogue, 2).toarray().sum(axis=1).tolist()
        == np.minimum(lengths, 2).tolist()
    )


def test_item_knn_ranks_the_next_item_better_than_popularity(
    evaluation: tuple[EventEvaluation, EventData],
) -> None:
    evaluator, data = evaluation
    test = evaluator.split(data.impressions / "test")
    fitting = fitting_of(make_log(), CONFIG, evaluator.catalogue)
    mrr = {
        name: max(np.nanmean(evaluator.judge(one.rank, test)["mrr"]) for one in family)
        for name, family in (("knn", item_knn(fitting)), ("popularity", popularity(fitting)))
    }
    assert mrr["knn"] > 1.2 * mrr["popularity"]


def test_builds_trains_and_evaluates_a_set_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    for module in (updating, events):  # the real code with a log that takes a second
        monkeypatch.setattr(module, "read_events", lambda name: make_log())
    pipeline = yaml.safe_load((ROOT / "configs" / "ml100k.yaml").read_text())
    pipeline["training"]["events"]["history"] = 8
    pipeline["training"]["over_catalogue"]["negatives"] = 10
    pipeline["training"]["ranker"] |= {
        "items": ["colour"],
        "size": {"width": 16, "heads": 2, "layers": 1, "hidden": 16},
        "fit": {"epochs": 12, "lists_per_step": 32, "learning_rate": 0.01, "patience": 12},
    }
    (tmp_path / "ml100k.yaml").write_text(yaml.safe_dump(pipeline))
    command = ["--only", "ml100k", "--configs", str(tmp_path), "--seeds", "2", "--threads", "1"]
    assert quality.main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["ml100k"]
    means = {row["method"]: row["ndcg_at_10"]["mean"] for row in report["methods"]}
    assert {"ranker", "popularity", "item-kNN", "ALS", "EASE", "random"} == set(means)
    assert means["ranker"] > 1.2 * means["popularity"]
    assert list(report["seeds"]) == ["1", "2"]
    assert quality.main(command) == 0  # nothing is trained again
    assert "NDCG@10 ranker - method" in capsys.readouterr().out
    _expect_the_same_of_both_runtimes(tmp_path / "ml100k")


def _expect_the_same_of_both_runtimes(home: Path) -> None:
    root = home / "models" / "ranker"
    artifact, data = Artifact.load(root), EventData(home / "data")
    catalogue = Catalogue.open(data.catalogue)
    evaluation = EventEvaluation(catalogue, repeats=False)
    batch, _ = next(evaluation.blocks(evaluation.split(data.impressions / "test").thinned(5)))
    inputs = InputAssembler(artifact.signature, catalogue)(batch)
    torch, onnx = (
        load_runtime(root, artifact, runtime_config(kind=kind)).run(inputs)["score"]
        for kind in ("torch", "onnx")
    )
    np.testing.assert_allclose(torch, onnx, atol=1e-4)


def test_error_for_a_missing_world_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    assert quality.main(["--only", "walks"]) == 2
    assert "build it first" in capsys.readouterr().err
