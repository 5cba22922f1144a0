"""Features for the tensors that an ensemble reads, and the sources of each model's inputs."""

from cli.convert.draft import Draft
from cli.convert.triton.models import Tensor
from cli.convert.triton.steps import Step
from models.features.definition import Group

_LENGTH = 64
_USER, _CONTEXT = (
    ("user", "member", "visitor"),
    ("context", "query", "request", "device", "hour", "time", "now"),
)
_USER_IDS, _ITEM_IDS = {"user", "user_id", "userid"}, {"item", "items", "item_id", "item_ids", "candidates"}


class Tensors:
    """The tensors of an ensemble, each with its source in Rankway.

    A tensor becomes a feature when the first model reads it. Inputs of code alone do not.
    """

    def __init__(self, draft: Draft, inputs: tuple[Tensor, ...]) -> None:
        """Know the inputs of the ensemble."""
        self._draft = draft
        self._inputs = {tensor.name: tensor for tensor in inputs}
        self._written: dict[str, tuple[str, Tensor | None]] = {}
        self._scores: dict[str, str] = {}
        self._sources: dict[str, str] = {}

    def computed(self, step: Step) -> None:
        """Note the outputs of code."""
        types = {tensor.name: tensor for tensor in step.model.outputs}
        for output, name in step.writes.items():
            self._written[name] = step.model.name, types.get(output)

    def scored(self, step: Step, source: str) -> None:
        """Note the outputs of a model, which later steps read from ``source``."""
        for name in step.writes.values():
            self._scores[name] = source

    def sources(self, step: Step) -> list[str]:
        """Return the inputs of a model with their sources, as ``<input>=<source>``."""
        types = {tensor.name: tensor for tensor in step.model.inputs}
        return [f"{key}={self._source(name, types.get(key))}" for key, name in step.reads.items()]

    def leftover(self) -> None:
        """Report the inputs of the ensemble that no model reads itself."""
        for name in self._inputs:
            if name not in self._sources:
                self._draft.decide(f"input {name}", "", "no model reads it, only code: " + _hint(name))

    def _source(self, name: str, read: Tensor | None) -> str:
        if name in self._scores:
            return self._scores[name]
        if name in self._sources:
            return self._sources[name]
        tensor, origin = read, f"input {name}"
        decide = "choose its group: item (the catalogue), user (the store) or context (the caller)"
        if name in self._written:
            model, written = self._written[name]
            origin, tensor = f"tensor {name}", read or written
            decide = f"{model} computes it. Compute it before, into the catalogue or the store. Then {decide}"
        else:
            tensor = read or self._inputs.get(name)
        self._sources[name] = source = self._feature(name, tensor, decide, origin)
        return source

    def _feature(self, name: str, tensor: Tensor | None, decide: str, origin: str) -> str:
        draft = self._draft
        if tensor is None:
            column = draft.feature("item", name, f"its type and shape are not in the repository. {decide}")
            draft.decide(origin, column, f"type and shape are unknown, and {decide}")
            return column
        if tensor.kind == "STRING":
            column = draft.feature("context", name, _hint(name), dtype="text", max_length=512)
            draft.decide(origin, column, f"{_hint(name)}. Models of Rankway read numbers, or texts as tokens")
            return column
        group = _guessed_group(name)
        if not tensor.is_same_type:
            decide = f"{tensor.kind} became {tensor.dtype}, so cast it in the model's graph. {decide}"
        fields: dict[str, object] = {} if tensor.dtype == "float32" else {"dtype": tensor.dtype}
        if -1 in tensor.dims and group == "user" and tensor.dims.count(-1) == 1 and tensor.dims[0] == -1:
            decide = f"its longest length, here {_LENGTH}. {decide}"
            shape = list(tensor.dims[1:])
            fields |= {"ragged": True, "max_length": _LENGTH} | ({"shape": shape} if shape else {})
        elif tensor.dims:
            if -1 in tensor.dims:
                decide = f"a fixed size for each -1, here {_LENGTH}. {decide}"
            fields["shape"] = [_LENGTH if size == -1 else size for size in tensor.dims]
        column = draft.feature(group, name, decide, **fields)
        draft.decide(origin, column, decide)
        return column


def _guessed_group(name: str) -> Group:
    words = name.lower()
    if words.startswith(_USER) or "hist" in words:
        return "user"
    return "context" if words.startswith(_CONTEXT) else "item"


def _hint(name: str) -> str:
    words = name.lower()
    if words in _USER_IDS:
        return "the user_id of a request takes its place"
    if words in _ITEM_IDS:
        return "the candidates of a request take its place"
    return "a text of the request, or a category, which needs a number for each value"
