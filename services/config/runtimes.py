"""The runtime of each model in a pipeline, configured or chosen, and the weights that one rank holds."""

import os
from dataclasses import replace
from pathlib import Path

import psutil

from autoscale.pools import PoolConfig
from models.artifact import Artifact
from models.atomic_directory import settled
from models.errors import ModelError
from models.runtimes import held_weights
from models.runtimes.auto import CPU_CORE, GPUS, UNKNOWN_GPU, Choice, Device, Rate, choose, least
from models.runtimes.base import group_of
from models.runtimes.kinds.auto import AutoConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.runtimes.weight_sizes import MIB, Weights, weights_of
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, placements
from services.config.units import LOCAL_POOL
from services.errors import ConfigError

_GIB = 1 << 30


def resolved(config: PipelineConfig, home: Path) -> PipelineConfig:
    """Return the pipeline with a chosen runtime in place of each ``auto``. Other runtimes stay as they are.

    Raises:
        ConfigError: an artifact cannot be read, or a pool does not describe its GPUs.
    """
    auto_models = [name for name, model in config.models.items() if isinstance(model.runtime, AutoConfig)]
    if not auto_models:
        return config
    choices_by_name = {name: _choice(config, home, name).runtime for name in auto_models}
    models = {
        name: model.model_copy(update={"runtime": choices_by_name.get(name, model.runtime)})
        for name, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def choices(config: PipelineConfig, home: Path) -> dict[str, Choice]:
    """Return every model's runtime, by the model's name.

    Raises:
        ConfigError: as for ``resolved``.
    """
    return {name: _choice(config, home, name) for name in config.models}


def describe(choice: Choice) -> str:
    """Return a choice as one line of text."""
    runtime = choice.runtime
    group = group_of(runtime)
    count = f" over {group.shards} ranks" if group is not None else ""
    return f"{runtime.kind}{count}, {choice.rank_bytes / MIB:,.2f} MiB of weights per rank: {choice.why}"


def _choice(config: PipelineConfig, home: Path, name: str) -> Choice:
    root, runtime = settled(home / config.models[name].artifact), config.models[name].runtime
    try:
        weights = weights_of(root, Artifact.read(root))
    except ModelError as error:
        raise ConfigError(str(error), field=f"models.{name}.artifact") from error
    if not isinstance(runtime, AutoConfig):
        try:
            return _configured(runtime, weights)
        except ModelError as error:
            detail = str(error).removeprefix("runtime: ")
            raise ConfigError(detail, field=f"models.{name}.runtime") from error
    users = users_of(config, name)
    if not users:
        return choose(runtime, weights, _this_machine(1.0), candidates=1, deadline_ms=float("inf"))
    device = least(
        [_device(config, placement) for unit, _ in users for placement in placements(config, unit)]
    )
    if not device.gpus:
        flops = device.rate.flops * runtime.threads
        device = replace(device, rate=replace(device.rate, flops=flops))
    return choose(
        runtime,
        weights,
        device,
        candidates=max(candidates for _, candidates in users),
        deadline_ms=config.requests.default_deadline_ms,
    )


def users_of(config: PipelineConfig, name: str) -> list[tuple[str, int]]:
    """Return the units that run the model, and how many candidates per request the model scores in each unit."""
    users = []
    if config.ranker is not None and config.ranker.model == name:
        users.append((config.ranker_unit, config.candidates.count))
    if config.reranker is not None and config.reranker.model == name:
        users.append((config.ingress_unit, config.reranker.best))
    if config.fallback is not None and config.fallback.model == name:
        users.append((config.ingress_unit, config.candidates.count))
    return users


def _device(config: PipelineConfig, placement: Placement) -> Device:
    """Return one rank's device: its GPUs, or a share of the node's memory that matches the rank's share of the CPUs."""
    cpus = placement.cpus or 1.0
    if placement.key.pool == LOCAL_POOL and LOCAL_POOL not in config.pools:
        return _this_machine(cpus)
    pool = placement.pool
    if not placement.gpus:
        return _of_node(pool, cpus)
    if not pool.gpu_memory_gib or pool.gpus < placement.gpus:
        raise ConfigError(
            f"auto cannot choose a runtime, because a rank takes {placement.gpus:g} GPUs with memory, got "
            f"{pool.gpus} GPUs with {pool.gpu_memory_gib:g} GiB each on a node; correct gpus and gpu_memory_gib of the "
            f"pool",
            field=f"pools.{placement.key.pool}.gpu_memory_gib",
        )
    return Device(
        memory_bytes=int(pool.gpu_memory_gib * _GIB * min(1.0, placement.gpus)),
        rate=GPUS.get((pool.accelerator or "").partition("-")[0], UNKNOWN_GPU),
        ranks=int(pool.gpus // placement.gpus),
        gpus=max(1, int(placement.gpus)),
        host_bytes=_of_node(pool, cpus).memory_bytes,
    )


def _this_machine(cpus: float) -> Device:
    memory_gib = psutil.virtual_memory().total / _GIB
    return _of_node(PoolConfig(cpus=os.cpu_count() or 1, memory_gib=memory_gib), cpus)


def _of_node(node: PoolConfig, cpus: float) -> Device:
    share = min(1.0, cpus / node.cpus)
    rate = Rate(CPU_CORE.flops, CPU_CORE.bytes_per_s)
    return Device(int(node.memory_gib * _GIB * share), rate, ranks=max(1, int(node.cpus // cpus)))


def _configured(runtime: RuntimeConfig, weights: Weights) -> Choice:
    """Return a configured runtime as a choice, with the weights that one of its ranks holds."""
    rank_weights = held_weights(runtime, weights)
    return Choice(runtime, rank_weights.rank_bytes, rank_weights.why)
