"""The ranges of activations on lists.

The lists are executed one after the other, and only counts and bounds are kept. So the memory does not grow with the
number of lists.
"""

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.quantization.calibration.calls import Calls, run_graph
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.options import CalibrationMethod
from models.errors import TrainingError

Ranges = Mapping[str, tuple[float, float]]
"""The range of each value, by name."""
_FINE_BINS = 65_536
"""Bins of a percentile's histogram. Activations are later rounded to 256 levels, so an error of one bin is none."""
_BINS, _QUANTISED_BINS = 512, 128
"""Those of ONNX Runtime's calibration by entropy."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often numbers are in each of several bins of the same width.

    Attributes:
        counts: (bins,).
        low: the lower end of the first bin.
        high: the upper end of the last bin.
    """

    counts: NDArray[np.int64]
    low: float
    high: float

    def add(self, values: NDArray[np.float32]) -> None:
        """Count numbers between ``low`` and ``high``."""
        self.counts[:] += np.histogram(values, len(self.counts), range=(self.low, self.high))[0]

    def percentile(self, share: float) -> float:
        """Return a percentile as ``np.percentile`` does, with an error of half a bin at most."""
        up_to = np.cumsum(self.counts)
        place = share / 100 * (float(up_to[-1]) - 1)
        before = np.floor(place)
        bins = np.searchsorted(up_to, [before, np.ceil(place)], side="right")
        width = (self.high - self.low) / len(self.counts)
        low, high = self.low + (bins + 0.5) * width
        return float(low + (place - before) * (high - low))


def activation_ranges(
    graph: Graph, names: Sequence[str], calls: Calls, method: CalibrationMethod, percentile: float
) -> Ranges:
    """Return the ranges of activations.

    ``minmax`` takes the smallest and the largest number. ``percentile`` cuts the same share of the numbers off at
    both ends. ``entropy`` is ONNX Runtime's own calibration (Migacz 2017, "8-bit Inference with TensorRT"). The last
    two execute the lists twice, because a histogram needs its ends first.

    Args:
        graph: the graph.
        names: names of float32 values.
        calls: the lists.
        method: the method.
        percentile: at each end, 100 minus this percentage is cut off. Read by ``percentile`` only.

    Raises:
        TrainingError: activations are NaN or infinite.
        RuntimeFailure: ONNX Runtime cannot execute the graph.
    """
    found = _bounds(graph, names, calls)
    wide = [name for name, (low, high) in found.items() if low < high]
    if method == "minmax" or not wide:
        return found
    histograms = {name: _empty(method, *found[name]) for name in wide}
    for values in run_graph(graph, calls, wide):
        for name, each in zip(wide, values, strict=True):
            histograms[name].add(each)
    for name, histogram in histograms.items():
        if method == "percentile":
            found[name] = histogram.percentile(100 - percentile), histogram.percentile(percentile)
        else:
            found[name] = _entropy_range(name, histogram, found[name])
    return found


def _bounds(graph: Graph, names: Sequence[str], calls: Calls) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest number of each value. (0, 0) without numbers."""
    found: dict[str, tuple[float, float]] = {}
    for values in run_graph(graph, calls, names):
        for name, each in zip(names, values, strict=True):
            if not each.size:
                continue
            low, high = float(each.min()), float(each.max())
            if not np.isfinite([low, high]).all():
                raise TrainingError(
                    f"quantize: the activations {name} are NaN or infinite on the calibration lists; train the model "
                    f"again"
                )
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])
    return {name: found.get(name, (0.0, 0.0)) for name in names}


def _empty(method: CalibrationMethod, low: float, high: float) -> Histogram:
    if method == "percentile":
        return Histogram(np.zeros(_FINE_BINS, dtype=np.int64), low, high)
    most = max(abs(low), abs(high))  # ONNX Runtime's histogram is symmetric
    return Histogram(np.zeros(_BINS, dtype=np.int64), -most, most)


def _entropy_range(name: str, histogram: Histogram, bounds: tuple[float, float]) -> tuple[float, float]:
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(
        method="entropy",
        symmetric=False,
        num_bins=_BINS,
        num_quantized_bins=_QUANTISED_BINS,
        percentile=100.0,
        scenario="same",
    )
    edges = np.linspace(histogram.low, histogram.high, _BINS + 1, dtype=np.float32)
    low, high, most = (np.float32(each) for each in (*bounds, histogram.high))
    collector.histogram_dict[name] = (histogram.counts, edges, low, high, most)
    with redirect_stdout(StringIO()):  # it prints its settings
        low, high = collector.compute_collection_result()[name][:2]
    return float(low), float(high)
