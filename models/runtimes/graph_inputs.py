"""Compare an ONNX graph's inputs with the inputs that an artifact's signature declares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from models.signature import InputSpec, Signature

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True, slots=True)
class GraphInput:
    """One input of a graph.

    Attributes:
        kind: ONNX Runtime's name of the type, such as "tensor(float)".
        shape: one entry for each axis: its length, or a name or None for any length. Empty if the graph leaves the
            number of axes open.
    """

    name: str
    kind: str
    shape: tuple[int | str | None, ...]

    @property
    def dtype(self) -> str:
        """The numpy dtype, such as "float32"."""
        return _DTYPES.get(self.kind) or self.kind.removeprefix("tensor(").removesuffix(")")


def input_faults(signature: Signature, graph: Sequence[GraphInput]) -> list[str]:
    """Return a phrase for each input in which the signature and the graph differ."""
    declared = {spec.name: spec for spec in signature.inputs}
    known = {node.name: node for node in graph}
    faults = []
    for name, spec in declared.items():
        node = known.get(name)
        if node is None:
            faults.append(f"{name} is declared, but the graph has no such input{_hint(name, known)}")
            continue
        if node.dtype != spec.dtype:
            faults.append(f"{name} is declared as {spec.dtype}, but the graph takes {node.dtype}")
        if not _fits(signature, spec, node.shape):
            expected = _shown((*signature.axes(spec), *spec.shape))
            faults.append(
                f"{name} is declared with the shape {expected}, but the graph takes {_shown(node.shape)}"
            )
    faults += [f"the graph takes {name}, which is not declared" for name in known if name not in declared]
    return faults


def _fits(signature: Signature, spec: InputSpec, shape: tuple[int | str | None, ...]) -> bool:
    if not shape:
        return True
    leading = len(signature.axes(spec))
    own = shape[leading:]
    if len(shape) != leading + len(spec.shape):
        return False
    return all(
        length == declared
        for length, declared in zip(own, spec.shape, strict=True)
        if isinstance(length, int)
    )


def _shown(axes: Iterable[int | str | None]) -> str:
    return f"({', '.join('any' if axis is None else str(axis) for axis in axes)})"


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
