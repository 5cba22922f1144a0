"""The fields that a model knows at a place in a document."""

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autoscale.registries.errors import RegistryError
from autoscale.registries.options import ByKind


def fields_at(model: type[BaseModel], location: Sequence[int | str], data: Any) -> list[str]:
    """Return the names of the fields that may be given at a location in ``data``. Empty if they are not fixed.

    Args:
        model: the model of the whole document.
        location: keys of mappings, and indices in lists.
        data: the document. Its ``kind`` decides the model of some parts.
    """
    types: list[Any] = [model]
    for part in location:
        data = _part(data, part)
        types = [inner for outer in types for inner in _inner(outer, part, data)]
    return sorted({name for each in types if _is_model(each) for name in each.model_fields})


def _part(data: Any, part: int | str) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, Sequence) and not isinstance(data, str) and isinstance(part, int):
        return data[part] if part < len(data) else None
    return None


def _inner(outer: Any, part: int | str, data: Any) -> Iterator[Any]:
    """Yield the types of a part of ``outer``. ``data`` is the part's value."""
    if _is_model(outer):
        field: FieldInfo | None = outer.model_fields.get(part)
        if field is not None:
            yield from _plain(field.annotation, field.metadata, data)
        return
    arguments = get_args(outer)
    if get_origin(outer) is dict and len(arguments) == 2:
        yield from _plain(arguments[1], (), data)
    elif get_origin(outer) in {list, tuple} and arguments:
        yield from _plain(arguments[0], (), data)


def _plain(annotation: Any, metadata: Sequence[Any], data: Any) -> Iterator[Any]:
    """Yield the types that an annotation stands for."""
    by_kind = next((mark for mark in metadata if isinstance(mark, ByKind)), None)
    if by_kind is not None:
        yield from _of_kind(by_kind, annotation, data)
    elif get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        yield from _plain(inner, marks, data)
    elif get_origin(annotation) in {Union, UnionType}:
        branches = [each for branch in get_args(annotation) for each in _plain(branch, (), data)]
        kind = data.get("kind") if isinstance(data, Mapping) else None
        own = [each for each in branches if _is_model(each) and _has_kind(each, kind)]
        yield from own or branches
    else:
        yield annotation


def _of_kind(mark: ByKind, base: Any, data: Any) -> Iterator[Any]:
    kind = data.get("kind", mark.default) if isinstance(data, Mapping) else None
    try:
        yield mark.registry.get(kind).config if isinstance(kind, str) else base
    except RegistryError:
        yield base


def _has_kind(model: type[BaseModel], kind: Any) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and (field.default if kind is None else kind) in get_args(field.annotation)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
