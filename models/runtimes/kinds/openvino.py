"""``kind: openvino``: OpenVINO on the CPU."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from models.artifact import Artifact
from models.runtimes.base import Held, Runtime, RuntimeKind, RuntimeOptions
from models.runtimes.weight_sizes import MIB, Weights

Precision = Literal["f32", "bf16", "auto"]
Hint = Literal["latency", "throughput"]
Shapes = Literal["buckets", "dynamic"]


class OpenVinoConfig(RuntimeOptions):
    """Options for OpenVINO. ``threads`` is the number of CPU threads over all streams.

    Attributes:
        precision: the floating-point type in which the layers compute. OpenVINO's own default is bfloat16 on CPUs that
            have instructions for it. ``auto`` is bf16 on these CPUs, if the graph can be executed in it, otherwise f32.
        hint: whether OpenVINO's settings favour the time of one call, or the throughput of several concurrent calls.
        streams: number of calls that are executed at the same time. None: 1, or with ``hint: throughput`` as many as
            OpenVINO chooses for ``threads``.
        shapes: ``buckets`` pads the inputs, so that few different shapes occur. ``dynamic`` executes every shape as it
            is. OpenVINO generates code for each new shape.
    """

    kind: Literal["openvino"]
    precision: Precision = "f32"
    hint: Hint = "latency"
    streams: int | None = Field(default=None, ge=1, le=256)
    shapes: Shapes = "buckets"

    @property
    def is_narrow(self) -> bool:
        """Whether the model may compute in bfloat16."""
        return self.precision != "f32"

    @property
    def max_instances(self) -> int:
        """The number of streams. Further calls wait for a stream."""
        return 1 if self.streams is None else self.streams

    @property
    def more_instances(self) -> str:
        """The remedy if ``max_instances`` is too low."""
        return "set instances: 1, or set runtime.streams and runtime.threads to as many as instances"

    def cores_of(self, instances: int) -> int:
        """Return ``threads``, which the streams share."""
        return self.threads

    @model_validator(mode="after")
    def _streams_have_threads(self) -> Self:
        if self.streams is not None and self.streams > self.threads:
            raise ValueError(
                f"streams: must be at most threads, {self.threads}, got {self.streams}; use fewer streams, or more "
                f"threads"
            )
        return self


def _load(path: Path, artifact: Artifact, config: OpenVinoConfig) -> Runtime:
    from models.runtimes.openvino.runtime import OpenVinoRuntime

    return OpenVinoRuntime(path, artifact, config)


def _check(config: OpenVinoConfig) -> None:
    from models.runtimes.openvino.compiling import refuse_unsupported

    refuse_unsupported(config)


def _held(config: OpenVinoConfig, weights: Weights) -> Held:
    """Return twice the weights. Measured: 220 to 290 MiB for 128 MiB of weights, in f32 and bf16."""
    why = (
        f"as configured; {weights.whole_bytes / MIB:,.2f} MiB of weights, and a copy in OpenVINO's own order"
    )
    return Held(2 * weights.whole_bytes, why)


RUNTIME = RuntimeKind(
    config=OpenVinoConfig,
    suffix=".onnx",
    load=_load,
    held=_held,
    check=_check,
    packages=("openvino",),
    extra="openvino",
)
