"""The shapes of a model's inputs, padded so that few different shapes occur."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.runtimes.checked_inputs import CheckedInputs
from models.signature import OUTPUT_AXES, Inputs, InputSpec, Signature

_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Input:
    """One input.

    Attributes:
        axes: its leading axes by name.
    """

    spec: InputSpec
    axes: tuple[str, ...]
    dtype: np.dtype[Any]


class InputShapes:
    """The shapes of a signature's inputs.

    Padding adds requests, candidates and values that no result depends on, because calls of several requests already
    have them: a padded list has a mask, and ragged values belong to an added request.
    """

    def __init__(self, signature: Signature) -> None:
        """Name the axes of every input."""
        self._checked = CheckedInputs(signature)
        self._inputs = [
            _Input(
                spec,
                signature.axes(spec),
                np.dtype(spec.dtype),
            )
            for spec in signature.inputs
        ]
        self._long = [spec.name for spec in signature.inputs if spec.dtype == "int64" and _is_unbounded(spec)]
        self._pad_id = 0 if signature.pair is None else signature.pair.pad_id
        self._is_list = signature.layout == "list"
        named = {axis for given in self._inputs for axis in given.axes}
        ragged = {axis for axis in named if axis.startswith("values")}
        if signature.layout == "flat":
            ragged.add("candidates")
        self._ragged = tuple(sorted(ragged))
        self._owned = "offsets" in named or any(
            given.spec.source == "batch.request_of" for given in self._inputs
        )
        self.output_axes = OUTPUT_AXES[signature.layout]

    def sizes(self, inputs: Inputs) -> dict[str, int]:
        """Return the length of each axis.

        Raises:
            RuntimeFailure: the inputs do not fit the signature, or integers need more than 32 bits.
        """
        lengths = self._checked.lengths(inputs)
        for name in self._long:
            # As unsigned numbers, so that one pass finds the negative ones too. It takes 1 us for 800 numbers.
            if inputs[name].size and inputs[name].view(np.uint64).max() > _MAX:
                _refuse_long(name, inputs[name])
        return lengths

    def output_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
        """Return the leading shape of the outputs, or None if no input has an axis of the outputs."""
        if any(axis not in sizes for axis in self.output_axes):
            return None
        return tuple(sizes[axis] for axis in self.output_axes)

    def bucketed(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the length of each axis after padding."""
        wanted = {axis: bucket(size) for axis, size in sizes.items()}
        if "requests" in sizes:
            has_more = self._owned and any(
                wanted[axis] > sizes[axis] for axis in self._ragged if axis in sizes
            )
            wanted["requests"] = bucket(sizes["requests"] + has_more)
            if "offsets" in sizes:
                wanted["offsets"] = wanted["requests"] + 1
        return wanted

    def padded(self, inputs: Inputs, sizes: Mapping[str, int], wanted: Mapping[str, int]) -> Inputs:
        """Return the inputs with their axes padded from ``sizes`` to the lengths of ``bucketed``."""
        if wanted == sizes:
            return inputs
        return {given.spec.name: self._pad(given, inputs, sizes, wanted) for given in self._inputs}

    def sample(self, size: int) -> Inputs:
        """Return inputs in which every axis has the given length, and one request has all ragged values."""
        sizes = {axis: size for given in self._inputs for axis in given.axes} | {"requests": 1, "offsets": 2}
        random = np.random.default_rng(0)
        return {given.spec.name: _sample(given, sizes, random) for given in self._inputs}

    def _pad(
        self, given: _Input, inputs: Inputs, sizes: Mapping[str, int], wanted: Mapping[str, int]
    ) -> NDArray[Any]:
        values, source = inputs[given.spec.name], given.spec.source
        lengths = tuple(wanted[axis] for axis in given.axes)
        if lengths == values.shape[: len(lengths)]:
            return values
        padded = np.zeros((*lengths, *given.spec.shape), dtype=given.dtype)
        if source == "tokens.ids":
            padded.fill(self._pad_id)
        elif source == "batch.request_of":
            padded.fill(sizes.get("requests", 0))  # the first added request
        elif source == "batch.chunk_of" and self._is_list:
            padded[:] = np.arange(len(padded))
        elif given.axes == ("offsets",):
            padded.fill(self._end(source, values, wanted))
        padded[tuple(slice(size) for size in values.shape)] = values
        return padded

    def _end(self, source: str, offsets: NDArray[Any], wanted: Mapping[str, int]) -> int:
        """Return the padded number of values of a ragged input, all added ones of which the first added request has."""
        axis = "candidates" if source == "batch.offsets" else f"values of {source.removesuffix(':offsets')}"
        return wanted[axis] if axis in self._ragged and axis in wanted else int(offsets[-1])


def bucket(size: int) -> int:
    """Return the next length up of 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on.

    There are four lengths from one power of 2 to the next, so at most a fifth of an axis is padding.
    """
    if size <= 8:
        return max(size, 1)
    step = 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


def _is_unbounded(spec: InputSpec) -> bool:
    """Return whether an input's integers are data, instead of positions in the batch."""
    return not spec.source.startswith(("batch.", "tokens.")) and not spec.source.endswith(":offsets")


def _sample(given: _Input, sizes: Mapping[str, int], random: np.random.Generator) -> NDArray[Any]:
    shape = (*(sizes[axis] for axis in given.axes), *given.spec.shape)
    if given.axes == ("offsets",):
        return np.array([0, max(sizes.values())], dtype=given.dtype)
    if given.dtype == bool or given.spec.source == "tokens.mask":
        return np.ones(shape, dtype=given.dtype)
    if given.dtype.kind == "f":
        return random.random(shape).astype(given.dtype)
    return np.zeros(shape, dtype=given.dtype)


def _refuse_long(name: str, values: NDArray[np.int64]) -> None:
    for number in (int(values.min()), int(values.max())):
        if not -_MAX <= number <= _MAX:
            raise RuntimeFailure(
                f"input {name}: OpenVINO computes integers in 32 bits, got {number}; use runtime.kind: onnx, or a "
                f"feature with smaller numbers"
            )
