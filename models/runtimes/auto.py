"""``runtime: {kind: auto}``: one process, a shard group or dispatch, by weights, devices and the objective.

A pure function. It estimates: a request's products over what a device does in a second, or its weights over what it
reads in a second, whichever is longer. Rates are of the order of what these devices attain, not their data sheets'
best: a profile (``rankway models bench``) tells what a model really takes.
"""

from dataclasses import dataclass

from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.auto import AutoConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.weight_sizes import MIB, Weights

WEIGHTS_SHARE = 0.7
"""Of a device's memory; the rest is for the interpreter, activations and a release that is loaded beside another."""
OBJECTIVE_SHARE = 0.5
"""Of the deadline: a request waits for the batch before its own."""
SPEEDUP = 0.85
"""n ranks are n to this power times as fast: 1.8 for two, between which there are sums to be sent."""
DISK_BYTES_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Rate:
    """Operations a second in 32 bits, and bytes a second from its memory, that a device attains."""

    flops: float
    bytes_per_s: float


CPU_CORE = Rate(5e10, 1e10)
GPUS = {
    "T4": Rate(4e12, 2.5e11),
    "L4": Rate(1.5e13, 2.5e11),
    "A100": Rate(1.2e13, 1.4e12),
    "H100": Rate(3.5e13, 2.5e12),
}
"""By Ray's name of the accelerator, without its size."""
UNKNOWN_GPU = GPUS["T4"]


@dataclass(frozen=True, slots=True)
class Device:
    """What one rank of a replica has. ranks: how many a node has room for; host_bytes: main memory beside a GPU's."""

    memory_bytes: int
    rate: Rate
    ranks: int = 1
    gpus: int = 0
    host_bytes: int = 0

    @property
    def room(self) -> int:
        """Bytes that weights may take."""
        return int(WEIGHTS_SHARE * self.memory_bytes)

    def named(self) -> str:
        """Name it as people do."""
        return f"a {'GPU' if self.gpus else 'rank'} with {self.memory_bytes / MIB:,.0f} MiB"


@dataclass(frozen=True, slots=True)
class Choice:
    """The runtime, the bytes of weights that one rank holds in memory, and why."""

    runtime: RuntimeConfig
    rank_bytes: int
    why: str


def least(devices: "list[Device]") -> Device:
    """Give what a rank has wherever it runs: of several pools the least of each."""
    return Device(
        memory_bytes=min(device.memory_bytes for device in devices),
        rate=min((device.rate for device in devices), key=lambda rate: rate.flops),
        ranks=min(device.ranks for device in devices),
        gpus=min(device.gpus for device in devices),
        host_bytes=min(device.host_bytes for device in devices),
    )


def estimate_ms(weights: Weights, device: Device, candidates: int, ranks: int = 1) -> float:
    """Estimate what a request of so many candidates takes the model."""
    products_s = 2 * weights.work * weights.tokens * candidates / device.rate.flops
    reading_s = weights.whole_bytes / device.rate.bytes_per_s
    speedup: float = ranks**SPEEDUP
    return 1e3 * max(products_s, reading_s) / speedup


def choose(
    wanted: AutoConfig, weights: Weights, device: Device, *, candidates: int, deadline_ms: float
) -> Choice:
    """Choose a model's runtime.

    One process where its weights fit a device and the estimate makes the objective; else the fewest ranks whose parts
    fit and make it, or as many as help. Where no number of such ranks fits, the fewest ranks of a pipeline: they need
    no heads to share out, and have no weights in common. Where these do not fit either, dispatch over memory and disk.
    """
    objective_ms = OBJECTIVE_SHARE * deadline_ms
    fitting = [n for n in _ranks(weights, device) if weights.of_a_rank(n) <= device.room]
    size = f"{weights.whole_bytes / MIB:,.1f} MiB of weights"
    staged = [n for n in range(2, device.ranks + 1) if weights.of_a_stage(n) <= device.room]
    if not fitting and staged and weights.torch:
        return _staged(wanted, weights, staged[0], f"{size} do not fit {device.named()}, split or whole")
    if not fitting and weights.torch:
        return _dispatched(wanted, weights, device, candidates, f"{size} do not fit {device.named()}")
    in_time = [n for n in fitting if estimate_ms(weights, device, candidates, n) <= objective_ms]
    ranks = (in_time or fitting[-1:] or [1])[0]
    took = f"about {estimate_ms(weights, device, candidates, ranks):.3g} ms for {candidates} candidates"
    made = "within" if in_time else "over"
    why = f"{took}, {made} the objective of {objective_ms:g} ms"
    if not fitting:
        why = f"{size} do not fit {device.named()}, and an ONNX graph can be neither split nor dispatched"
    elif ranks > 1 and fitting[0] > 1:
        why = f"{size} do not fit {device.named()}; {why}"
    elif ranks > 1:
        one_ms = estimate_ms(weights, device, candidates)
        why = f"one process would take about {one_ms:.3g} ms; {why}"
    if ranks > 1:
        runtime: RuntimeConfig = DeepSpeedConfig(kind="deepspeed", shards=ranks, threads=wanted.threads)
        return Choice(runtime, weights.of_a_rank(ranks), why)
    runs_onnx = weights.onnx and (not device.gpus or not weights.torch)
    return Choice(
        OnnxConfig(threads=wanted.threads) if runs_onnx else TorchConfig(threads=wanted.threads),
        weights.whole_bytes,
        why,
    )


def _ranks(weights: Weights, device: Device) -> list[int]:
    """Give the numbers of ranks that heads and node allow, 1 first."""
    powers = [1 << n for n in range(device.ranks.bit_length()) if 1 << n <= device.ranks]
    return [n for n in powers if n == 1 or (weights.torch and weights.heads and weights.heads % n == 0)]


def _staged(wanted: AutoConfig, weights: Weights, ranks: int, why: str) -> Choice:
    runtime = AccelerateConfig(kind="accelerate", shards=ranks, threads=wanted.threads)
    held = weights.of_a_stage(ranks)
    return Choice(runtime, held, f"{why}; a pipeline of the {weights.layers} layers fits")


def _dispatched(wanted: AutoConfig, weights: Weights, device: Device, candidates: int, why: str) -> Choice:
    # What cannot be fetched piece by piece has to be held.
    room = max(device.room, 2 * weights.largest_bytes)
    budgets: dict[int | str, float] = {"cpu": room / MIB}
    if device.gpus:
        host_mib = max(1.0, WEIGHTS_SHARE * device.host_bytes / MIB)
        budgets = {**dict.fromkeys(range(device.gpus), room / MIB), "cpu": host_mib}
    held = min(weights.whole_bytes, int(MIB * sum(budgets.values())))
    fetched = weights.whole_bytes - held
    took_ms = estimate_ms(weights, device, candidates) + 1e3 * fetched / DISK_BYTES_PER_S
    runtime = AccelerateConfig.model_validate(
        {"kind": "accelerate", "threads": wanted.threads, "max_memory_mib": budgets}
    )
    left = f"{fetched / MIB:,.1f} MiB stay on disk" if fetched else "the rest is in main memory"
    return Choice(runtime, held, f"{why}: {left}, about {took_ms:.3g} ms a request")
