"""Repositories of Triton, and the pipelines that are drafted from them."""

from pathlib import Path

import pytest

from cli.convert.documents import pipeline_text
from cli.convert.draft import Draft
from cli.convert.triton.repository import read_triton
from services.errors import ConfigError
from tests.cli.convert.drafts import features, note, outcomes, pipeline

ENSEMBLE = """
name: "rank"
platform: "ensemble"
input [
  { name: "user_id", data_type: TYPE_STRING, dims: [ -1, 1 ] },
  { name: "price", data_type: TYPE_FP32, dims: [ -1, 1 ] },
  { name: "user_history", data_type: TYPE_INT64, dims: [ -1, -1 ] }
]
output { name: "scores" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling {
  step [
    {  # listed before the step whose tensor it reads
      model_name: "scorer"
      model_version: -1
      input_map { key: "dense" value: "user_vector" }
      input_map { key: "price" value: "price" }
      input_map { key: "history" value: "user_history" }
      output_map { key: "logit" value: "raw" }
    },
    {
      model_name: "lookup"
      input_map { key: "id" value: "user_id" }
      output_map { key: "vector" value: "user_vector" }
    },
    {
      model_name: "listwise"
      input_map { key: "score" value: "raw" }
      output_map { key: "out" value: "scores" }
    }
  ]
}
"""
LOOKUP = """
backend: "python"
input { name: "id" data_type: TYPE_STRING dims: 1 }
output { name: "vector" data_type: TYPE_FP32 dims: 32 }
"""
SCORER = """
platform: "onnxruntime_onnx"
max_batch_size: 1024
input [
  { name: "dense" data_type: TYPE_FP32 dims: [ 32 ] },
  { name: "price" data_type: TYPE_BF16 dims: [ 1 ] reshape { shape: [ ] } },
  { name: "history" data_type: TYPE_INT64 dims: [ -1 ] }
]
output { name: "logit" data_type: TYPE_FP32 dims: 1 }
dynamic_batching {
  preferred_batch_size: [ 256, 512 ]
  max_queue_delay_microseconds: 500
  priority_levels: 3
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 100000 max_queue_size: 64 }
}
instance_group [ { count: 2 kind: KIND_CPU }, { count: 1 kind: KIND_CPU } ]
optimization { graph { level: 1 } }
version_policy { latest { num_versions: 2 } }
novel_field: 3
"""
LISTWISE = """
backend: "onnxruntime"
max_batch_size: 8
input { name: "score" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "out" data_type: TYPE_FP32 dims: [ -1 ] }
"""
MODELS = {"rank": ENSEMBLE, "lookup": LOOKUP, "scorer": SCORER, "listwise": LISTWISE}


def repository(folder: Path, models: dict[str, str]) -> Path:
    for name, text in models.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(text, encoding="utf-8")
    return folder


def read(folder: Path, models: dict[str, str], model: str | None = None) -> Draft:
    return read_triton(repository(folder, models), name="shop", model=model)


@pytest.fixture(scope="module")
def rank(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    folder = repository(tmp_path_factory.mktemp("repository"), MODELS)
    (folder / "scorer" / "12").mkdir()
    return read_triton(folder, name="shop", model=None)


def test_the_first_model_ranks_and_the_last_reranks(rank: Draft) -> None:
    config = pipeline(rank)
    assert config.reranker is not None
    assert (config.required_ranker().model, config.required_ranker().output) == ("scorer", "logit")
    assert (config.reranker.model, config.reranker.output) == ("listwise", "out")
    assert config.units["main"].stages == ("features", "ranker", "reranker")


def test_batching_instances_deadline_and_priority_are_taken_over(rank: Draft) -> None:
    config = pipeline(rank)
    unit = config.units["main"]
    assert (unit.replicas, unit.batching.max_candidates) == (3, 1024)
    assert (config.requests.default_deadline_ms, config.requests.max_priority) == (100, 2)


def test_tensors_of_the_request_and_of_code_become_features(rank: Draft) -> None:
    found = features(rank)
    assert list(found) == ["user.user_vector", "item.price", "user.user_history"]
    assert found["user.user_vector"].shape == (32,)
    assert found["item.price"].shape == (), "the shape that the model reads, not that of the API"
    assert (found["user.user_history"].ragged, found["user.user_history"].dtype) == (True, "int64")
    assert "BF16 became float32" in note(rank, "input price")
    assert "lookup computes it" in note(rank, "tensor user_vector")


def test_comments_name_the_inputs_the_newest_weights_and_the_rows_of_a_request(rank: Draft) -> None:
    scorer, listwise = (rank.settings[f"models.{name}.artifact"] for name in ("scorer", "listwise"))
    assert scorer.decide == "make an artifact from scorer/12/model.onnx"
    assert "dense=user.user_vector, price=item.price" in scorer.note
    assert "Dense, history: one row for each request" in scorer.note
    assert listwise.note == "Its inputs: score=candidate.score"


def test_every_field_has_an_outcome(rank: Draft) -> None:
    found = outcomes(rank)
    batching = "scorer.dynamic_batching"
    assert found[f"{batching}.priority_levels"] == "mapped"
    assert found[f"{batching}.default_queue_policy.max_queue_size"] == "decide"
    assert found["step lookup"] == found["input user_id"] == "decide"
    none = ("preferred_batch_size", "max_queue_delay_microseconds")
    assert {found[f"{batching}.{name}"] for name in none} == {"none"}
    assert found["scorer.optimization"] == found["scorer.novel_field"] == "none"
    assert found["scorer.version_policy"] == "mapped"


def test_a_single_model_needs_no_ensemble(tmp_path: Path) -> None:
    config = pipeline(read(tmp_path, {"scorer": SCORER}))
    assert (config.required_ranker().model, config.reranker) == ("scorer", None)


def test_a_model_in_python_code_is_to_be_exported_or_wrapped(tmp_path: Path) -> None:
    draft = read(tmp_path, {"lookup": LOOKUP})
    assert "runtime of kind python" in draft.settings["models.lookup.artifact"].decide


def test_models_that_the_ensemble_does_not_use_are_named(tmp_path: Path) -> None:
    assert outcomes(read(tmp_path, MODELS | {"other": SCORER}))["other"] == "decide"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "expected a folder of models"),
        ({"a": SCORER, "b": SCORER}, "got a, b; choose with --model"),
        ({"a": 'name: "b"'}, "a/config.pbtxt: name: expected the name of its folder, a, got 'b'"),
        ({"a": "max_batch_size: ["}, r"config\.pbtxt:1:"),
        ({"a": 'input { name: "x" data_type: TYPE_FLOAT dims: 1 }'}, "expected a type such as TYPE_FP32"),
        (
            {"a": 'max_batch_size: 1 input { name: "x" data_type: TYPE_FP32 dims: -7 }'},
            "sizes above 0, or -1",
        ),
        (
            {"rank": ENSEMBLE, "scorer": SCORER},
            "expected a model of the repository, rank, scorer, got 'lookup'",
        ),
        (
            MODELS | {"rank": ENSEMBLE.replace('value: "user_id"', 'value: "raw"')},
            "no finished step writes a tensor",
        ),
        ({"a": 'platform: "ensemble"'}, "expected at least one step"),
        (MODELS | {"scorer": SCORER.replace("count: 2", "count: 0")}, "expected at least 1, got 0"),
    ],
)
def test_a_faulty_repository_is_refused_with_its_place(
    tmp_path: Path, models: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, models)


def test_a_deadline_out_of_range_is_traced_to_its_source(tmp_path: Path) -> None:
    draft = read(tmp_path, {"scorer": SCORER.replace("100000", "900000000")})
    with pytest.raises(ConfigError, match=r"default_deadline_ms: .*default_timeout_microseconds\)"):
        pipeline_text(draft, "d", "s")
