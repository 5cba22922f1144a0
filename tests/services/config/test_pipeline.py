import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from tests.pipelines import SPLIT, WITH_DIVERSITY, WITH_RERANKER, merged, pipeline_document


def load(tmp_path: Path, *changes: dict[str, Any]) -> PipelineConfig:
    document: dict[str, Any] = pipeline_document()
    for change in changes:
        document = merged(document, change)
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_config(path)


@pytest.mark.parametrize("changes", [{}, WITH_RERANKER, SPLIT], ids=["one unit", "reranker", "split"])
def test_loads_valid_pipeline(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = load(tmp_path, changes)
    assert config.ingress_unit == "main"
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config


def test_finds_units_by_stage_and_lists_stages_in_request_order(tmp_path: Path) -> None:
    split = load(tmp_path, SPLIT)
    assert (split.unit_of("features"), split.unit_of("ranker")) == ("main", "scorer")
    assert split.stage_names() == ("features", "ranker")
    whole = load(tmp_path, WITH_RERANKER, WITH_DIVERSITY)
    assert whole.stage_names() == ("features", "ranker", "reranker")
    assert whole.reranker is not None
    assert whole.reranker.diversity is not None


def test_unit_of_a_pipeline_without_a_ranker_orders_the_candidates(tmp_path: Path) -> None:
    config = load(tmp_path, {"ranker": None, "units": {"main": {"stages": ["features"]}}})
    assert config.stage_names() == ("features",)
    assert config.ranker_unit == config.ingress_unit == "main"
    with pytest.raises(ConfigError, match="ranker: missing in pipeline small; add ranker: "):
        config.required_ranker()


NODE = {"cpus": 4, "memory_gib": 8}
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"nme": 1}, "nme: no such field; did you mean name?"),
    ({"colour": 1}, "colour: no such field; remove it or correct its name"),
    ({"candidates": {"cout": 1}}, "candidates.cout: no such field; did you mean count?"),
    ({"units": {"main": {"bathing": {}}}}, "units.main.bathing: no such field; did you mean batching?"),
    (
        {"units": {"main": {"batching": {"max_candidates": 0}}}},
        "units.main.batching.max_candidates: Input should be greater than or equal to 1, got 0",
    ),
    ({"units": {"main": {"replicas": "two"}}}, "units.main.replicas: Input should be a valid integer"),
    ({"units": {"main": {"cpus": float("nan")}}}, "units.main.cpus: Input should be less"),
    (
        {"requests": {"default_deadline_ms": -1}},
        "requests.default_deadline_ms: Input should be greater than 0",
    ),
    (
        {"requests": {"max_k": 1001}},
        "requests.max_k: Input should be less than or equal to 1000, got 1001",
    ),
    ({"http": {"port": 70_000}}, "http.port: Input should be less than or equal to 65535, got 70000"),
    ({"http": {"host": ""}}, "http.host: String should have at least 1 character"),
    ({"features": {"refresh_s": float("inf")}}, "features.refresh_s: Input should be less than or equal to"),
    (
        {"candidates": {"kind": "far"}},
        "candidates.kind: unknown candidate source, got 'far'; use one of near, sample,",
    ),
    ({"units": {"main": {"pools": {"gpu": {}}}}}, "units.main.pools: unknown pool, got 'gpu'"),
    (
        {"pools": {"a": NODE}, "units": {"main": {"pools": {"a": {"replicas": 0}}}}},
        "units.main.pools.a.replicas: must be at least 1 without autoscaling, got 0; raise it or remove the pool",
    ),
    (
        {"pools": {"a": NODE, "b": NODE}, "units": {"main": {"pools": {"a": {}, "b": {}}}}},
        "units.main.pools: the unit that answers HTTP must be in one pool, got a, b; keep one",
    ),
    ({"pools": {"gpu": {"cpus": 1}}}, "pools.gpu.memory_gib: missing; add it"),
    ({"name": "Bad Name"}, "name: String should match pattern"),
    ({"units": {"a#b": {"stages": ["features"]}}}, "a#b"),
    (
        {"ranker": {"model": "none"}},
        "ranker.model: unknown model, got 'none'; describe it under models, or name one of ['ranker']",
    ),
    ({"models": {"ranker": {"runtime": {"threads": 0}}}}, "models.ranker.runtime.threads: Input should be"),
    ({"models": {"ranker": {"runtime": {"shards": 2}}}}, "models.ranker.runtime.shards: no such field"),
    (
        {"models": {"ranker": {"runtime": {"kind": "tvm"}}}},
        "models.ranker.runtime.kind: unknown runtime, got 'tvm'; use one of onnx, torch, torchscript, deepspeed,",
    ),
    (
        {"models": {"ranker": {"runtime": {"kind": "deepspeed", "cuda_graph": True}}}},
        "models.ranker.runtime: cuda_graph: allowed only with shards: 1, got shards: 2",
    ),
    (
        {"models": {"ranker": {"runtime": {"kind": "deepspeed", "shards": 1, "quantization": "int8"}}}},
        "models.ranker.runtime: quantization: requires shards: 1, dtype: fp16",
    ),
    (
        {"units": {"main": {"stages": ["features"]}}},
        "units: stage ranker must be in exactly one unit, got 0",
    ),
    ({"units": {"main": {"stages": []}}}, "units.main.stages"),
    (
        {"units": {"other": {"stages": ["ranker"]}}},
        "units: stage ranker must be in exactly one unit, got 2",
    ),
    ({"units": {"main": {"stages": ["features", "ranker", "reranker"]}}}, "the pipeline has no reranker"),
    (
        merged(
            WITH_RERANKER,
            {"units": {"main": {"stages": ["features"]}, "b": {"stages": ["ranker", "reranker"]}}},
        ),
        "units: the stages reranker and features must be in the same unit",
    ),
    (merged(WITH_RERANKER, {"reranker": {"model": "none"}}), "reranker.model: unknown model, got 'none'"),
    (
        merged(WITH_RERANKER, {"reranker": {"diversity": {"column": "e", "relevance_weight": 1.5}}}),
        "reranker.diversity.relevance_weight: Input should be less than or equal to 1, got 1.5",
    ),
    (
        {"popular": {"column": "value"}},
        "popular: orders the candidates of a pipeline without a ranker, and this",
    ),
    (
        {"ranker": None},
        "units: the stage ranker is in a unit, but the pipeline has no ranker; add a ranker or",
    ),
    (
        {"ranker": None, "fallback": {"model": "ranker"}, "units": {"main": {"stages": ["features"]}}},
        "fallback.model: replaces the ranker, and the pipeline has none, got 'ranker'; remove it",
    ),
    (
        {"feedback": {"kinds": {"click": 2}}},
        "feedback.kinds.click: expected a relevance from 0 to 1, the word",
    ),
]


@pytest.mark.parametrize(("changes", "line"), FAULTS, ids=[line for _, line in FAULTS])
def test_fault_names_field_value_and_range(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, changes)
    assert line in refused.value.detail
    assert re.search(r"pipeline\.yaml(:\d+)?: ", refused.value.detail)


@pytest.mark.parametrize("field", ["name", "catalogue", "features", "units"])
def test_names_missing_field(tmp_path: Path, field: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in pipeline_document().items() if k != field}))
    with pytest.raises(ConfigError, match=f": {field}: missing; add it"):
        load_config(path)


def test_reports_every_fault_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, {"nme": 1, "http": {"port": 0}, "requests": {"max_k": 0}})
    assert len(refused.value.detail.splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a mapping of fields"),
        (b"- a\n- b", "expected a mapping of fields"),
        (b"a: [", "pipeline.yaml:1: cannot be read as YAML: .*flow .* begins in line 1; correct it"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"name: !!python/object/apply:os.getcwd []", "cannot be read"),
        (b"name: a\nhttp: {port: 1}\nname: b", "name is given twice; remove one of them"),
        (b"http: {port: 1, port: 2}", "port is given twice; remove one of them"),
    ],
)
def test_refuses_file_that_is_not_a_pipeline(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_missing_file_and_folder_are_named_without_error_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, reason in (
        (tmp_path / "none.yaml", "because there is no such file; correct the path"),
        (Path("none.yaml"), f"because there is no such file in {tmp_path}; correct the path"),
        (tmp_path, "because it is a folder; name a YAML file"),
    ):
        with pytest.raises(ConfigError) as refused:
            load_config(path)
        assert refused.value.detail == f"{path}: cannot be read, {reason}"
