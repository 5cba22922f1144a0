"""The vector that trees read as students: the features of fixed shape that their parent reads."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.importing.converted import INPUT
from models.ragged import RaggedBatch
from models.signature import VECTOR, InputSpec, Signature
from models.vectors import PER_REQUEST, VectorSpec, column_names, split_name


def vector_signature(
    parent: Signature, without: Sequence[str], width_of: Callable[[str], int]
) -> tuple[Signature, list[str]]:
    """Return the signature of trees that read a parent's features of fixed shape, and a name for each number.

    A parent with vectors reads the features that they declare, with the same number for missing ones.

    Args:
        parent: the parent's signature.
        without: features that the trees do not read.
        width_of: returns the numbers in a feature of a vector, 0 for a scalar.

    Raises:
        TrainingError: no feature remains, or ``without`` names a feature that is not among them.
    """
    widths = _widths(parent, width_of)
    for name in without:
        if name not in widths:
            raise TrainingError(
                f"student.without: the parent reads no such feature of fixed shape, got {name!r}; name one of "
                f"{', '.join(widths)}"
            )
    features = tuple(name for name in widths if name not in without)
    if not features:
        raise TrainingError("student: trees need a feature of fixed shape, got none; choose another student")
    names = column_names(features, widths)
    missing = {spec.missing for spec in (parent.vectors or {}).values()}
    vector = VectorSpec(features=features, missing=missing.pop() if len(missing) == 1 else "nan")
    signature = Signature(
        inputs=(InputSpec(name=INPUT, source=f"{VECTOR}{INPUT}", shape=(len(names),)),),
        feature_hash=parent.feature_hash,
        vectors={INPUT: vector},
    )
    return signature, names


def width_in(feature: str, batch: RaggedBatch, catalogue: Catalogue) -> int:
    """Return the numbers in a feature of a vector, 0 for a scalar or for a single number such as "item.position.0"."""
    group, name, index = split_name(feature)
    if index is not None:
        return 0
    source = f"{group}.{name}"
    if group == "item":
        column = catalogue.columns[name]
    elif group in PER_REQUEST:
        of_request = batch.requests[source]
        assert isinstance(of_request, np.ndarray), "vectors have features of fixed shape"
        column = of_request
    else:
        column = batch.candidates[name if group == "candidate" else source]
    return prod(column.shape[1:]) if column.ndim > 1 else 0


def _widths(parent: Signature, width_of: Callable[[str], int]) -> dict[str, int]:
    """Return the numbers by feature. Single numbers of a feature that is read as a whole are left out."""
    widths: dict[str, int] = {}
    for spec in parent.inputs:
        if spec.source.startswith(VECTOR):
            declared = (parent.vectors or {})[spec.source.removeprefix(VECTOR)]
            widths |= {name: width_of(name) for name in declared.features}
        elif not set(spec.source) & {"@", ":"} and (
            spec.per_candidate or spec.source.startswith(tuple(f"{group}." for group in PER_REQUEST))
        ):
            widths[spec.source] = prod(spec.shape) if spec.shape else 0
    whole = {".".join(split_name(name)[:2]): name for name in widths if split_name(name)[2] is None}
    return {
        name: width
        for name, width in widths.items()
        if whole.get(".".join(split_name(name)[:2]), name) == name
    }
