"""``runtime: {kind: auto}``: chooses one process, a shard group or dispatch, from weights, devices and the objective.

The choice is a pure function of weights, device and deadline. The estimated model time is the larger of two times: the
time for a request's operations at the device's rate, and the time for reading all weights at the device's memory
bandwidth. The rates are attainable orders of magnitude, not a data sheet's best case. A profile (``rankway models
bench``) has a model's measured time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.auto import AutoConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.lightgbm import LightGbmConfig
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.kinds.xgboost import XgboostConfig
from models.runtimes.trees.memory import held_trees
from models.runtimes.weight_sizes import MIB, Weights

WEIGHTS_SHARE = 0.7
"""Share of a device's memory for weights. The rest is for the interpreter, activations and loading a new release."""
OBJECTIVE_SHARE = 0.5
"""Share of the deadline that a batch may take, because a request first waits for the previous batch."""
SPEEDUP = 0.85
"""n ranks are n ** SPEEDUP times as fast, two ranks 1.8 times. This is less than n, because ranks exchange sums."""
TREES: Mapping[str | None, type[LightGbmConfig | XgboostConfig]] = {
    "lightgbm": LightGbmConfig,
    "xgboost": XgboostConfig,
}
"""The libraries that execute trees themselves. An import records the faster one of ONNX Runtime and such a library."""
DISK_BYTES_PER_S = 1e9
"""Assumed read rate for weights on disk."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A device's attainable rates.

    Attributes:
        flops: 32-bit operations per second.
        bytes_per_s: memory bandwidth.
    """

    flops: float
    bytes_per_s: float


CPU_CORE = Rate(5e10, 1e10)
GPUS = {
    "T4": Rate(4e12, 2.5e11),
    "L4": Rate(1.5e13, 2.5e11),
    "A100": Rate(1.2e13, 1.4e12),
    "H100": Rate(3.5e13, 2.5e12),
}
"""Rates by Ray's accelerator type, without the memory size in its name."""
UNKNOWN_GPU = GPUS["T4"]
"""Assumed for unlisted GPUs: the slowest listed GPU."""


@dataclass(frozen=True, slots=True)
class Device:
    """One rank's resources.

    Attributes:
        memory_bytes: GPU memory, or main memory if the rank has no GPU.
        ranks: number of ranks that fit on a node.
        host_bytes: main memory, if the rank has a GPU.
    """

    memory_bytes: int
    rate: Rate
    ranks: int = 1
    gpus: int = 0
    host_bytes: int = 0

    @property
    def room(self) -> int:
        """Bytes available for weights."""
        return int(WEIGHTS_SHARE * self.memory_bytes)

    def named(self) -> str:
        """Return a description for people, such as "a GPU with 24,576 MiB"."""
        return f"a {'GPU' if self.gpus else 'rank'} with {self.memory_bytes / MIB:,.0f} MiB"


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen runtime.

    Attributes:
        runtime: the runtime's options.
        rank_bytes: weight bytes that one rank holds in memory.
        why: the reason, in words.
    """

    runtime: RuntimeConfig
    rank_bytes: int
    why: str


def least(devices: "list[Device]") -> Device:
    """Return the resources that a rank has in every pool: each field's minimum over the devices."""
    return Device(
        memory_bytes=min(device.memory_bytes for device in devices),
        rate=min((device.rate for device in devices), key=lambda rate: rate.flops),
        ranks=min(device.ranks for device in devices),
        gpus=min(device.gpus for device in devices),
        host_bytes=min(device.host_bytes for device in devices),
    )


def estimate_ms(weights: Weights, device: Device, candidates: int, ranks: int = 1) -> float:
    """Return a request's estimated model time in ms.

    Args:
        weights: the model's sizes.
        device: each rank's device.
        candidates: candidates in the request.
        ranks: number of ranks that share the work.
    """
    products_s = 2 * weights.work * weights.tokens * candidates / device.rate.flops
    reading_s = weights.whole_bytes / device.rate.bytes_per_s
    speedup: float = ranks**SPEEDUP
    return 1e3 * max(products_s, reading_s) / speedup


def choose(
    config: AutoConfig, weights: Weights, device: Device, *, candidates: int, deadline_ms: float
) -> Choice:
    """Choose a model's runtime.

    The first possible choice is taken:

    1. one process, if the weights fit the device and the estimate is within the objective;
    2. the fewest tensor-parallel ranks whose parts fit and whose estimate is within the objective;
    3. the most tensor-parallel ranks whose parts fit, if no number of ranks is fast enough;
    4. the fewest pipeline ranks whose layers fit: a pipeline needs no heads to split, and almost no weight is on two
       ranks;
    5. dispatch over memory and disk.

    A model without weights for PyTorch always runs in one process. It runs with the runtime that its import measured
    as the fastest, if it measured any, otherwise with ONNX Runtime.

    Args:
        config: options for ``kind: auto``.
        weights: the model's sizes.
        device: each rank's device.
        candidates: candidates in a request.
        deadline_ms: a request's deadline. A batch's objective is the share ``OBJECTIVE_SHARE`` of it.
    """
    objective_ms = OBJECTIVE_SHARE * deadline_ms
    fitting = [n for n in _ranks(weights, device) if weights.of_a_rank(n) <= device.room]
    size = f"{weights.whole_bytes / MIB:,.1f} MiB of weights"
    staged = [n for n in range(2, device.ranks + 1) if weights.of_a_stage(n) <= device.room]
    if not fitting and staged and weights.torch:
        return _staged(
            config,
            weights,
            staged[0],
            f"{size} do not fit {device.named()}, whole or in tensor-parallel parts",
        )
    if not fitting and weights.torch:
        return _dispatched(config, weights, device, candidates, f"{size} do not fit {device.named()}")
    in_time = [n for n in fitting if estimate_ms(weights, device, candidates, n) <= objective_ms]
    ranks = (in_time or fitting[-1:] or [1])[0]
    estimate = f"about {estimate_ms(weights, device, candidates, ranks):.3g} ms for {candidates} candidates"
    comparison = "within" if in_time else "over"
    why = f"{estimate}, {comparison} the objective of {objective_ms:g} ms"
    if not fitting:
        why = f"{size} do not fit {device.named()}, and an ONNX graph can be neither split nor dispatched"
    elif ranks > 1 and fitting[0] > 1:
        why = f"{size} do not fit {device.named()}; {why}"
    elif ranks > 1:
        one_ms = estimate_ms(weights, device, candidates)
        why = f"one process would take about {one_ms:.3g} ms; {why}"
    if ranks > 1:
        split = DeepSpeedConfig(kind="deepspeed", shards=ranks, threads=config.threads)
        return Choice(split, weights.of_a_rank(ranks), why)
    if weights.fastest in TREES:
        why = f"{why}; the import of the model measured {weights.fastest} as the fastest"
        runtime = TREES[weights.fastest](threads=config.threads)
        return Choice(runtime, held_trees(runtime, weights).rank_bytes, why)
    return Choice(_one_process(config, weights, device), weights.whole_bytes, why)


def _one_process(config: AutoConfig, weights: Weights, device: Device) -> RuntimeConfig:
    runs_onnx = not weights.torch or (weights.onnx and not device.gpus)
    return OnnxConfig(threads=config.threads) if runs_onnx else TorchConfig(threads=config.threads)


def _ranks(weights: Weights, device: Device) -> list[int]:
    """Return the possible tensor-parallel rank counts, ascending from 1.

    They are powers of 2 that divide the attention heads and fit on a node.
    """
    powers = [1 << n for n in range(device.ranks.bit_length()) if 1 << n <= device.ranks]
    return [n for n in powers if n == 1 or (weights.torch and weights.heads and weights.heads % n == 0)]


def _staged(config: AutoConfig, weights: Weights, ranks: int, why: str) -> Choice:
    runtime = AccelerateConfig(kind="accelerate", shards=ranks, threads=config.threads)
    rank_bytes = weights.of_a_stage(ranks)
    return Choice(runtime, rank_bytes, f"{why}; a pipeline of the {weights.layers} layers fits")


def _dispatched(config: AutoConfig, weights: Weights, device: Device, candidates: int, why: str) -> Choice:
    # A tensor cannot be fetched in pieces, so the budget is at least twice the largest tensor.
    room = max(device.room, 2 * weights.largest_bytes)
    budgets: dict[int | str, float] = {"cpu": room / MIB}
    if device.gpus:
        host_mib = max(1.0, WEIGHTS_SHARE * device.host_bytes / MIB)
        budgets = {**dict.fromkeys(range(device.gpus), room / MIB), "cpu": host_mib}
    rank_bytes = min(weights.whole_bytes, int(MIB * sum(budgets.values())))
    disk_bytes = weights.whole_bytes - rank_bytes
    took_ms = estimate_ms(weights, device, candidates) + 1e3 * disk_bytes / DISK_BYTES_PER_S
    runtime = AccelerateConfig.model_validate(
        {"kind": "accelerate", "threads": config.threads, "max_memory_mib": budgets}
    )
    remainder = f"{disk_bytes / MIB:,.1f} MiB stay on disk" if disk_bytes else "the rest is in main memory"
    return Choice(runtime, rank_bytes, f"{why}: {remainder}, about {took_ms:.3g} ms per request")
