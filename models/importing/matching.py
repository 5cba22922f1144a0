"""Match a model's inputs to features: by name, or as ``--input NAME=FEATURE,...`` says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.errors import SignatureError
from models.importing.known_features import KnownFeatures
from models.importing.onnx_graph import GraphTensor
from models.signature import VECTOR, VECTOR_TYPES, InputSpec
from models.vectors import VectorSpec, split_name

ImportLayout = Literal["flat", "list", "chunks"]
Missing = Literal["nan"] | float
_BATCH = {
    "batch.offsets": ("offsets", "batch_offsets"),
    "batch.request_of": ("request_of", "batch_request_of"),
    "batch.mask": ("mask", "batch_mask"),
    "batch.chunk_of": ("chunk_of", "batch_chunk_of"),
}
_OUR_NAMES = {name: source for source, names in _BATCH.items() for name in names}


@dataclass(frozen=True)
class Matched:
    """The inputs of a signature, its vectors, and one line per input for the user."""

    inputs: tuple[InputSpec, ...]
    vectors: dict[str, VectorSpec]
    report: tuple[str, ...]


def parse_inputs(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the sources by input name, from texts such as "dense=item.price,user.age".

    Raises:
        SignatureError: a text has another form, or names an input twice.
    """
    result: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, separator, features = text.partition("=")
        sources = tuple(feature.strip() for feature in features.split(","))
        if not separator or not name.strip() or not all(sources):
            raise SignatureError(f"--input: expected NAME=FEATURE or NAME=FEATURE,FEATURE,..., got {text!r}")
        if name.strip() in result:
            raise SignatureError(
                f"--input: {name.strip()} is given twice; name all its features in one --input"
            )
        result[name.strip()] = sources
    return result


def match(
    tensors: Sequence[GraphTensor],
    known: KnownFeatures,
    given: Mapping[str, Sequence[str]],
    *,
    missing: Missing = "nan",
    layout: ImportLayout = "flat",
) -> Matched:
    """Return the source of every input of a graph.

    Args:
        tensors: the graph's inputs.
        known: the pipeline's features.
        given: sources by input name, from ``--input``. Other inputs are matched by their names.
        missing: what replaces missing numbers in vectors.
        layout: the layout of inputs with one row per candidate.

    Raises:
        SignatureError: an input has no feature, or the feature has another shape or type.
    """
    names = [tensor.name for tensor in tensors]
    if unknown := sorted(set(given) - set(names)):
        raise SignatureError(
            f"--input: the model has no such input, got {unknown[0]!r}; its inputs are {', '.join(names)}"
        )
    sources = {tensor.name: _sources(tensor, known, given) for tensor in tensors}
    # A graph that knows each candidate's request reads request features once per request.
    by_request = layout != "flat" or any(s[0].startswith("batch.") for s in sources.values())
    matcher = _Matcher(known, missing, layout, by_request)
    inputs = tuple(matcher.input(tensor, sources[tensor.name]) for tensor in tensors)
    return Matched(inputs, matcher.vectors, tuple(matcher.report))


def _sources(
    tensor: GraphTensor, known: KnownFeatures, given: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    field = f"input {tensor.name}"
    if tensor.name in given:
        return tuple(given[tensor.name])
    if tensor.name in _OUR_NAMES and not any(c.endswith(f".{tensor.name}") for c in known.by_column):
        return (_OUR_NAMES[tensor.name],)
    try:
        return (known.resolve(tensor.name, field=field),)
    except SignatureError as error:
        raise SignatureError(f"{error}; name its features with --input {tensor.name}=FEATURE,...") from error


class _Matcher:
    def __init__(
        self, known: KnownFeatures, missing: Missing, layout: ImportLayout, by_request: bool
    ) -> None:
        self._known, self._missing, self._layout, self._by_request = known, missing, layout, by_request
        self.vectors: dict[str, VectorSpec] = {}
        self.report: list[str] = []

    def input(self, tensor: GraphTensor, sources: Sequence[str]) -> InputSpec:
        lead = 1 if self._layout == "flat" else 2
        if tensor.shape and tensor.shape[0] is not None:
            raise SignatureError(
                f"input {tensor.name}: the first axis must have any size, got {tensor}; export the graph with a "
                f"dynamic first axis, in PyTorch with dynamic_axes or dynamic_shapes"
            )
        if len(sources) > 1:
            return self._vector(tensor, tuple(sources), lead)
        source = sources[0]
        if source.startswith("batch.") or ":" in source or "@" in source:
            return self._as_given(tensor, source)
        field = f"input {tensor.name}"
        (name,) = {source.rpartition(".")[0] if _has_index(source) else source}
        feature = self._known.get(name, field=field)
        if feature.ragged:
            raise SignatureError(
                f"{field}: {source} is ragged; use --input {tensor.name}={source}:list, {source}:mask or "
                f"{source}:offsets, or a feature with a fixed shape"
            )
        direct = not _has_index(source) and (feature.per_candidate or self._by_request)
        axes = lead if feature.per_candidate else 1
        if direct and len(tensor.shape) == axes + len(feature.shape):
            return self._direct(tensor, source, feature.shape, axes)
        return self._vector(tensor, (source,), lead)

    def _direct(self, tensor: GraphTensor, source: str, shape: tuple[int, ...], axes: int) -> InputSpec:
        for size, declared in zip(shape, tensor.shape[axes:], strict=True):
            if declared is not None and declared != size:
                raise SignatureError(
                    f"input {tensor.name}: expected the shape of {source}, {shape}, got {tensor}; name other features"
                )
        self.report.append(f"{tensor}: {source}")
        return InputSpec.model_validate(
            {"name": tensor.name, "source": source, "dtype": tensor.dtype, "shape": shape}
        )

    def _as_given(self, tensor: GraphTensor, source: str) -> InputSpec:
        shape: tuple[int, ...] = ()
        column = source.partition("@")[0].partition(":")[0]
        if not source.startswith("batch.") and not source.endswith((":mask", ":offsets")):
            shape = self._known.get(column, field=f"input {tensor.name}").shape
        self.report.append(f"{tensor}: {source}")
        return InputSpec.model_validate(
            {"name": tensor.name, "source": source, "dtype": tensor.dtype, "shape": shape}
        )

    def _vector(self, tensor: GraphTensor, features: tuple[str, ...], lead: int) -> InputSpec:
        field = f"input {tensor.name}"
        names = self._known.vector_names(features, field=field)
        if tensor.dtype not in VECTOR_TYPES:
            raise SignatureError(
                f"{field}: a vector is float32, got {tensor}; export the graph with a float input"
            )
        if len(tensor.shape) != lead + 1:
            axes = "(N, F)" if lead == 1 else "(B, M, F)"
            raise SignatureError(
                f"{field}: a vector of {', '.join(features)} has the axes {axes}, got {tensor}; "
                f"export the graph with these axes, or choose another --layout"
            )
        if tensor.shape[-1] not in {None, len(names)}:
            raise SignatureError(
                f"{field}: expected {tensor.shape[-1]} numbers per candidate, got {len(names)}: {', '.join(names)}; "
                f"name the features that the model was trained with"
            )
        name = _vector_name(tensor.name, self.vectors)
        self.vectors[name] = VectorSpec(features=features, missing=self._missing)
        self.report.append(f"{tensor}: vector of {len(names)} numbers, {', '.join(features)}")
        return InputSpec.model_validate(
            {
                "name": tensor.name,
                "source": f"{VECTOR}{name}",
                "dtype": tensor.dtype,
                "shape": (len(names),),
            }
        )


def _has_index(source: str) -> bool:
    try:
        return split_name(source)[2] is not None
    except ValueError:
        return False


def _vector_name(name: str, taken: Mapping[str, VectorSpec]) -> str:
    """Return a name for a vector like the input's, with letters, digits and underscores."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name) or "vector"
    while plain in taken:
        plain += "_"
    return plain
