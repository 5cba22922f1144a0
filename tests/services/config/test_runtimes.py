"""Every model has one runtime before the pipeline is deployed, and the described runtime is the chosen one."""

from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.runtimes.auto import WEIGHTS_SHARE
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.weight_sizes import weights_of
from models.training.export import SAFETENSORS
from services.app import StandaloneApp
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.config.runtimes import choices, describe, resolved
from services.deployment.check import check_artifacts
from services.errors import ConfigError
from services.releases.staging import ReleaseFolder
from tests.models.runtimes.test_weight_sizes import written
from tests.models.worlds import make_ranker
from tests.pipelines import SPLIT, WITH_RERANKER, make_pipeline, merged

AUTO: dict[str, Any] = {"models": {"ranker": {"runtime": {"kind": "auto"}}}}


def on_gpus(memory_gib: float = 24.0) -> dict[str, Any]:
    """Return changes that put the ranker of the split pipeline on nodes with 4 GPUs, one rank per GPU."""
    pool = {"cpus": 16, "memory_gib": 64, "gpus": 4, "gpu_memory_gib": memory_gib, "accelerator": "A100-40G"}
    placed = {"units": {"scorer": {"pools": {"gpu": {"cpus": 4, "gpus": 1}}}}, "pools": {"gpu": pool}}
    return merged(merged(AUTO, SPLIT), placed)


def with_ranker(home: Path, changes: dict[str, Any]) -> PipelineConfig:
    """Return a pipeline whose ranker is a history ranker in safetensors."""
    path = make_pipeline(home, changes)
    artifact = home / "history"
    written(artifact, make_ranker())
    path.write_text(path.read_text().replace("artifact: model\n", "artifact: history\n"))
    return load_config(path)


def test_replaces_auto_by_a_runtime_and_changes_nothing_else(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, merged(AUTO, WITH_RERANKER)))
    result = resolved(config, tmp_path)
    assert result.models["ranker"].runtime == OnnxConfig()
    assert result.model_copy(update={"models": config.models}) == config
    assert resolved(result, tmp_path) is result


def test_pipeline_with_auto_is_checked_and_served_with_the_chosen_runtime(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, AUTO)
    assert check_artifacts(load_config(path), tmp_path) == []
    StandaloneApp(path, tmp_path)


def test_release_staged_with_auto_has_the_runtime_chosen_by_the_pipeline(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, AUTO))
    folder = ReleaseFolder(tmp_path, config.name)
    name = folder.stage(config).name
    applied = folder.applied(resolved(config, tmp_path), name)
    assert applied.models["ranker"].runtime == OnnxConfig()


def test_missing_artifact_is_reported_once(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, merged(AUTO, {"models": {"ranker": {"artifact": "none"}}})))
    with pytest.raises(ConfigError, match="no artifact at"):
        resolved(config, tmp_path)
    assert [fault.partition(": ")[0] for fault in check_artifacts(config, tmp_path)] == [
        "models.ranker.artifact"
    ]


def test_rejects_unit_whose_models_need_different_shard_groups(tmp_path: Path) -> None:
    runtimes = {"ranker": {"kind": "deepspeed", "shards": 2}, "reranker": {"kind": "deepspeed", "shards": 4}}
    data = load_config(make_pipeline(tmp_path, WITH_RERANKER)).model_dump(mode="json")
    for name, runtime in runtimes.items():
        data["models"][name]["runtime"] = runtime
    faults = check_artifacts(PipelineConfig.model_validate(data), tmp_path)
    assert [fault for fault in faults if "share a shard group" in fault] != []


def test_devices_of_the_pool_decide_the_runtime(tmp_path: Path) -> None:
    config = with_ranker(tmp_path, on_gpus())
    assert resolved(config, tmp_path).models["ranker"].runtime == TorchConfig()
    weights = weights_of(tmp_path / "history", Artifact.read(tmp_path / "history"))

    def with_room_for(weight_bytes: int) -> RuntimeConfig:
        memory_gib = 1.01 * weight_bytes / WEIGHTS_SHARE / (1 << 30)
        small = PipelineConfig.model_validate(merged(config.model_dump(mode="json"), on_gpus(memory_gib)))
        return resolved(small, tmp_path).models["ranker"].runtime

    assert with_room_for(weights.whole_bytes) == TorchConfig()
    assert with_room_for(weights.of_a_rank(2)) == DeepSpeedConfig(kind="deepspeed", shards=2)
    assert isinstance(with_room_for(weights.of_a_rank(2) // 2), AccelerateConfig)


def test_rejects_pool_with_gpus_of_unknown_memory(tmp_path: Path) -> None:
    config = with_ranker(tmp_path, on_gpus(memory_gib=0.0))
    with pytest.raises(ConfigError, match="correct gpus and gpu_memory_gib of the pool") as fault:
        resolved(config, tmp_path)
    assert fault.value.field == "pools.gpu.gpu_memory_gib"


def test_describes_configured_runtime_with_bytes_per_rank(tmp_path: Path) -> None:
    config = with_ranker(tmp_path, {})

    def resolved_with(**runtime: Any) -> tuple[int, str]:
        data = config.model_dump(mode="json")
        data["models"]["ranker"]["runtime"] = runtime
        choice = choices(PipelineConfig.model_validate(data), tmp_path)["ranker"]
        return choice.rank_bytes, describe(choice)

    root = tmp_path / "history"
    weights = weights_of(root, written(root, make_ranker()))
    assert weights.whole_bytes < (root / SAFETENSORS).stat().st_size
    assert resolved_with(kind="torch")[0] == weights.whole_bytes
    rank_bytes, line = resolved_with(kind="deepspeed", shards=2)
    assert rank_bytes == weights.of_a_rank(2) < weights.whole_bytes
    assert line.startswith("deepspeed over 2 ranks, 0.01 MiB of weights per rank: as configured")
    assert resolved_with(kind="deepspeed", shards=2, dtype="bf16")[0] < rank_bytes
    rank_bytes, line = resolved_with(kind="accelerate", shards=2)
    assert rank_bytes == weights.of_a_stage(2) < weights.whole_bytes
    assert "over 2 ranks" in line and "in a pipeline of 2 layers" in line
    rank_bytes, line = resolved_with(kind="accelerate", max_memory_mib={"cpu": 0.005})
    assert rank_bytes == int(0.005 * (1 << 20))
    assert "MiB stay on disk" in line
    assert resolved_with(kind="accelerate")[0] == weights.whole_bytes
