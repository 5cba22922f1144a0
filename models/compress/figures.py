"""The figures of a model: sizes, memory, times and quality. Each model of a recipe has the same ones."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Figures):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


class Latency(_Figures):
    """The time of a request on one thread.

    Attributes:
        calls: the number of measured requests, from which p50 and p99 are computed.
        of_parent: how many times as fast as the step's parent, the median of the rounds' ratios.
        of_parent_at_best: the upper quartile of these ratios.
        of_original: the same, compared with the original.
        spread: (largest - smallest) / median of the ratios to the original.
    """

    candidates: int
    p50_ms: float
    p99_ms: float
    calls: int = 0
    of_parent: float = 1.0
    of_parent_at_best: float = 1.0
    of_original: float = 1.0
    spread: float = 0.0


class Sizes(_Figures):
    """A model's size.

    Attributes:
        parameters: numbers in the weights.
        disk_bytes: the files that the runtime loads. Golden requests and other forms of the weights do not count.
    """

    parameters: int
    disk_bytes: int


class Figures(_Figures):
    """All figures of a model.

    Attributes:
        runtime: the kind of runtime that was measured.
        peak_mib: the largest resident memory of the process that executed the model, from the loading on, without that
            of the measured requests. It includes Python and the runtime's libraries.
        model_mib: the part of it that came with the model: its growth from just before the model was loaded, with the
            requests in memory already. It is the runtime's libraries, the weights, and the buffers of requests.
        latencies: by number of candidates, ascending. The middle one decides whether a step is accepted.
        quality: NDCG@10 or AUC on the report lists. None if a score is NaN or infinite.
        scored_alone: whether each report list was scored in a call of its own, because scores depend on the other lists
            in the call.
        change_of_parent: the relative change of the quality, 0.01 is 1% better. The same lists are compared.
        change_of_original: the same, compared with the original.
        fault: the reason for which the model could not be measured. The figures above are then not complete.
    """

    runtime: str
    sizes: Sizes
    peak_mib: float = 0.0
    model_mib: float = 0.0
    latencies: tuple[Latency, ...] = Field(default=())
    quality: Interval | None = None
    scored_alone: bool = False
    change_of_parent: Interval | None = None
    change_of_original: Interval | None = None
    fault: str | None = None

    @property
    def deciding(self) -> Latency:
        """The times with the middle number of candidates."""
        return self.latencies[len(self.latencies) // 2]

    @model_validator(mode="after")
    def _a_measured_model_has_times(self) -> Self:
        if self.fault is None and not self.latencies:
            raise ValueError("latencies: missing; measure the model again")
        return self
