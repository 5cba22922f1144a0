"""The weights of a graph. Large ones stay in their file until they are read."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.runtimes.onnx.outside_weights import mapped_weight

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


class Weights:
    """Weights by name: those of the file, and those that a step has added or replaced.

    Attributes:
        are_outside: whether weights of the file are in another file beside it.
    """

    def __init__(self, model: "ModelProto", path: Path) -> None:
        """Take a model, whose external weights are beside ``path``."""
        self._path = path
        self._stored: Mapping[str, TensorProto] = MappingProxyType(
            {weight.name: weight for weight in model.graph.initializer}
        )
        self._new: dict[str, NDArray[Any]] = {}
        self.are_outside = any(weight.data_location == weight.EXTERNAL for weight in self._stored.values())

    def __contains__(self, name: str) -> bool:
        return name in self._stored or name in self._new

    def names(self) -> list[str]:
        """Return the names, those of the file first."""
        return list(dict.fromkeys([*self._stored, *self._new]))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a weight's shape, without reading it."""
        return self._new[name].shape if name in self._new else tuple(self._stored[name].dims)

    def is_float(self, name: str) -> bool:
        """Return whether a weight is float32, without reading it."""
        if name in self._new:
            return self._new[name].dtype == np.float32
        return bool(self._stored[name].data_type == self._stored[name].FLOAT)

    def values(self, name: str) -> NDArray[Any]:
        """Return a weight. One in another file is mapped into memory.

        Raises:
            ArtifactError: the file is missing or too short.
        """
        if name in self._new:
            return self._new[name]
        weight = self._stored[name]
        if weight.data_location != weight.EXTERNAL:
            from onnx import numpy_helper

            return numpy_helper.to_array(weight)
        try:
            return mapped_weight(weight, self._path.parent)
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"{self._path}: the weight {name} cannot be read: {error}; copy the artifact again"
            ) from error

    def put(self, name: str, values: NDArray[Any]) -> None:
        """Add a weight, or replace it."""
        self._new[name] = np.ascontiguousarray(values)

    def copy(self) -> Self:
        """Return the same weights. Later changes of one do not change the other."""
        other = copy(self)
        other._new = dict(self._new)
        return other

    def bytes_of(self, name: str) -> int:
        """Return a weight's size."""
        inside = self._inside(name)
        return self.values(name).nbytes if inside is None else inside.ByteSize()

    def proto(self, name: str) -> "TensorProto":
        """Return a weight with its numbers."""
        from onnx import numpy_helper

        inside = self._inside(name)
        if inside is not None:
            return inside
        proto: TensorProto = numpy_helper.from_array(np.ascontiguousarray(self.values(name)), name)
        return proto

    def reference(self, name: str, file: str, offset: int = 0) -> "TensorProto":
        """Return a weight whose numbers are at an offset in another file."""
        from onnx import TensorProto, helper

        values = self.values(name)
        reference = TensorProto(
            name=name, dims=values.shape, data_type=helper.np_dtype_to_tensor_dtype(values.dtype)
        )
        reference.data_location = TensorProto.EXTERNAL
        for key, value in {"location": file, "offset": offset, "length": values.nbytes}.items():
            reference.external_data.add(key=key, value=str(value))
        return reference

    def _inside(self, name: str) -> "TensorProto | None":
        """Return a weight that is as it was in the graph's own file. None: it is in another file, or new."""
        weight = None if name in self._new else self._stored[name]
        return None if weight is None or weight.data_location == weight.EXTERNAL else weight
