"""The features that a student reads: those of its parent, without some of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from models.architectures.options import RankerReads
from models.errors import TrainingError


def reads_of(architecture: Mapping[str, Any]) -> RankerReads:
    """Return the features that a ranker reads.

    Args:
        architecture: the ranker's options, as its artifact stores them.

    Raises:
        TrainingError: the model is no ranker.
    """
    known = {name: architecture[name] for name in RankerReads.model_fields if name in architecture}
    try:
        return RankerReads.model_validate(known)
    except ValidationError as error:
        name = architecture.get("name", "none")
        raise TrainingError(
            f"student: the parent must be a ranker with an architecture, because a student reads its features, got "
            f"architecture {name}; distil before a step that writes only a graph, such as quantize, and leave it out "
            f"for trees"
        ) from error


def names_of(reads: RankerReads) -> list[str]:
    """Return the features by which ``without`` names them. The history's items are not among them."""
    user = [] if reads.profile is None else [f"user.{reads.profile[0]}"]
    names = [
        *(f"item.{name}" for name in reads.items),
        *user,
        *(f"user.{column.name}" for column in reads.history_values),
        *(f"context.{column.name}" for column in reads.context),
        *reads.request,
        *(f"cell.{name}" for name in reads.cells),
        *(pair.origin for pair in reads.distances),
    ]
    return list(dict.fromkeys(names))


def narrowed(reads: RankerReads, without: Sequence[str], field: str = "student.without") -> RankerReads:
    """Return the features without some of them.

    A distance is left out with the position that it is measured from.

    Args:
        reads: the parent's features.
        without: names of features, as from ``names_of``.
        field: the option that names them, for errors.

    Raises:
        TrainingError: a feature is not read anyway, or no item column would remain.
    """
    known = names_of(reads)
    for name in without:
        if name not in known:
            raise TrainingError(
                f"{field}: the parent reads no such feature, got {name!r}; name one of {', '.join(known)}"
            )
    left_out = frozenset(without)
    items = {name: shape for name, shape in reads.items.items() if f"item.{name}" not in left_out}
    if not items:
        raise TrainingError(
            f"{field}: at least one item column must remain, got {', '.join(without)}; remove one of them"
        )
    profile = reads.profile
    return RankerReads(
        items=items,
        context=tuple(each for each in reads.context if f"context.{each.name}" not in left_out),
        profile=None if profile is None or f"user.{profile[0]}" in left_out else profile,
        history=reads.history,
        history_values=tuple(each for each in reads.history_values if f"user.{each.name}" not in left_out),
        request={name: shape for name, shape in reads.request.items() if name not in left_out},
        cells={name: shape for name, shape in reads.cells.items() if f"cell.{name}" not in left_out},
        distances=tuple(pair for pair in reads.distances if pair.origin not in left_out),
    )
