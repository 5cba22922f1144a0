"""The options of the step ``quantize``."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.compress.steps.base import StepOptions
from models.compress.steps.quantization.moq.options import MoqConfig
from models.compress.steps.uses import MODULES, SCORES, Uses
from models.cpu_flags import sums_int8_exactly

Mode = Literal["dynamic", "static", "embeddings", "float16", "bfloat16", "nncf"]
CalibrationMethod = Literal["percentile", "minmax", "entropy"]
Sensitivity = Literal["error", "curvature"]
_OF_LAYERS = frozenset({"per_channel", "reduce_range", "keep", "sensitivity", "sensitivity_lists", "moq"})
_READ_BY: Mapping[Mode, frozenset[str]] = {
    "dynamic": _OF_LAYERS,
    "static": _OF_LAYERS | {"calibration"},
    "embeddings": frozenset({"min_rows"}),
    "float16": frozenset(),
    "bfloat16": frozenset(),
    "nncf": frozenset({"calibration", "budget"}),
}
"""The options that each mode reads, besides ``kind`` and ``mode``."""


class Calibration(BaseModel):
    """How the ranges of activations are found. Mode ``nncf`` reads ``lists`` only, and refuses the others.

    Attributes:
        lists: the maximum number of training lists, evenly spaced over time.
        method: ``percentile`` cuts a share of the numbers off, ``minmax`` none, and ``entropy`` as many as change the
            distribution least.
        percentile: at each end, 100 minus this percentage of the numbers is cut off. Other methods refuse it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lists: int = Field(default=200, ge=1, le=100_000)
    method: CalibrationMethod = "percentile"
    percentile: float = Field(default=99.99, gt=50, le=100)

    @model_validator(mode="after")
    def _only_one_method_reads_the_percentile(self) -> Self:
        if "percentile" in self.model_fields_set and self.method != "percentile":
            raise ValueError(
                f"percentile: method {self.method} does not read it, got {self.percentile:g}; remove it, or use "
                f"method: percentile"
            )
        return self


class Budget(BaseModel):
    """A bound for the loss of NDCG.

    Attributes:
        max_ndcg_loss: the largest loss, as a share of the parent's NDCG@10.
        lists: the maximum number of lists on which it is measured. They are not those of the gate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_ndcg_loss: float = Field(default=0.01, ge=0, lt=1)
    lists: int = Field(default=400, ge=1, le=100_000)


class QuantizeOptions(StepOptions):
    """Options of the step ``quantize``. A mode refuses the options of other modes.

    Attributes:
        mode: ``dynamic`` computes the layers in int8, and scales the activations at each call. ``static``
            calibrates their scales on training lists. ``embeddings`` stores the rows of embedding tables in int8.
            ``float16`` and ``bfloat16`` store layers and tables in 16 bits. ONNX Runtime on a CPU computes with them in
            32 bits, so they save disk, and no time per request. ``nncf`` calibrates with NNCF for ``runtime.kind:
            openvino``, and keeps layers in float32 until ``budget`` is met.
        per_channel: a scale for each column of a layer's matrix, instead of one for the matrix.
        reduce_range: store the weights in 7 bits. Without VNNI a CPU adds two products of 8 bits in 16 bits, which
            overflows. None: only on a CPU that does so.
        keep: the share of the layers that stay in float32. They are the most sensitive ones.
        sensitivity: how it is measured how sensitive layers are. ``error`` quantises each layer alone, and compares the
            scores. ``curvature`` multiplies the top eigenvalue of the loss's Hessian by the squared error of the
            weights. None: ``error`` if ``keep`` is above 0, else they are not measured.
        sensitivity_lists: the maximum number of lists on which it is measured. None: 50 for ``error``, which needs no
            labels, and 8 for ``curvature`` and ``moq``, which hold the results of all lists in memory.
        moq: a tuning with rounded weights before the quantisation. None: no tuning.
        calibration: how the ranges of activations are found.
        budget: the largest loss of NDCG.
        min_rows: the fewest rows of a table that is quantised.
    """

    kind: Literal["quantize"] = "quantize"
    mode: Mode = "dynamic"
    per_channel: bool = True
    reduce_range: bool | None = None
    keep: float = Field(default=0.0, ge=0, lt=1)
    sensitivity: Sensitivity | None = None
    sensitivity_lists: int | None = Field(default=None, ge=1, le=100_000)
    moq: MoqConfig | None = None
    calibration: Calibration = Calibration()
    budget: Budget | None = None
    min_rows: int = Field(default=256, ge=1)

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result. Its graphs are executed by ONNX Runtime."""
        used = SCORES | Uses.of(code=("compress/steps/quantization",), packages=("onnx",))
        if self.moq is not None or self.sensitivity == "curvature":
            used |= MODULES
        return used | Uses.of(packages=("nncf", "openvino")) if self.mode == "nncf" else used

    @property
    def of_machine(self) -> str:
        """Whether weights are stored in 7 bits, if that depends on this machine's CPU."""
        return "" if self.reduce_range is not None or sums_int8_exactly() else "7 bits"

    @property
    def runtime(self) -> str | None:
        """The kind of runtime that the mode is made for. None: that of the parent."""
        return {"dynamic": "onnx", "nncf": "openvino"}.get(self.mode)

    @property
    def measures_layers(self) -> bool:
        """Whether it is measured how sensitive the layers are."""
        return self.keep > 0 or self.sensitivity is not None

    @model_validator(mode="after")
    def _mode_reads_the_options(self) -> Self:
        unread = sorted(self.model_fields_set - _READ_BY[self.mode] - {"mode", *StepOptions.model_fields})
        if unread:
            raise ValueError(
                f"{unread[0]}: mode {self.mode} does not read it; remove it, or use mode "
                f"{' or '.join(mode for mode, read in _READ_BY.items() if unread[0] in read)}"
            )
        of_method = sorted(self.calibration.model_fields_set - {"lists"})
        if self.mode == "nncf" and of_method:
            raise ValueError(
                f"calibration.{of_method[0]}: mode nncf does not read it, because NNCF has its own method, got "
                f"{getattr(self.calibration, of_method[0])}; remove it, or use mode: static"
            )
        if self.sensitivity_lists is not None and not self.measures_layers and self.moq is None:
            raise ValueError(
                f"sensitivity_lists: no sensitivity is measured without keep, sensitivity or moq, got "
                f"{self.sensitivity_lists}; set one of them, or remove it"
            )
        return self
