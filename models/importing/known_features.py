"""The features that a model may read: names, shapes and groups of the pipeline's definitions and catalogue."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import PER_CANDIDATE, FeatureSet
from models.features.transforms import NOW
from models.vectors import column_names, split_name

EARLIER_STAGES = ("candidate.score", "candidate.ranker")


@dataclass(frozen=True)
class KnownFeature:
    """A feature with a fixed shape, or a ragged one.

    Attributes:
        column: "<group>.<name>".
        per_candidate: whether it has one value per candidate. Others have one per request.
    """

    column: str
    shape: tuple[int, ...]
    per_candidate: bool
    ragged: bool = False

    @property
    def width(self) -> int:
        """Numbers in one value. 0 for a scalar, which has no index."""
        count = 1
        for size in self.shape:
            count *= size
        return count if self.shape else 0


class KnownFeatures:
    """All numeric features of a pipeline, by column name."""

    def __init__(self, definitions: FeatureSet, catalogue: Catalogue) -> None:
        """Collect the catalogue's columns, the defined features, and the scores of earlier stages."""
        self.by_column: dict[str, KnownFeature] = {}
        for name, column in catalogue.columns.items():
            if column.dtype.kind in "fiub":
                self._add(KnownFeature(f"item.{name}", tuple(column.shape[1:]), per_candidate=True))
        for feature in definitions.features:
            if feature.group != "item" and not feature.is_text:
                per_candidate = feature.group in PER_CANDIDATE
                self._add(KnownFeature(feature.column, feature.shape, per_candidate, feature.ragged))
        for column_name in EARLIER_STAGES:
            self._add(KnownFeature(column_name, (), per_candidate=True))

    def _add(self, feature: KnownFeature) -> None:
        self.by_column[feature.column] = feature

    def fixed(self) -> tuple[str, ...]:
        """Return the columns of the default vector: all but ragged ones, earlier scores, and the time itself.

        The time in epoch seconds differs between training and serving for every request.
        """
        left_out = {*EARLIER_STAGES, NOW}
        return tuple(name for name, f in self.by_column.items() if not f.ragged and name not in left_out)

    def get(self, column: str, *, field: str) -> KnownFeature:
        """Return a feature by its full name.

        Raises:
            SignatureError: there is no such feature.
        """
        if column not in self.by_column:
            raise self.unknown(column, field)
        return self.by_column[column]

    def unknown(self, name: str, field: str) -> SignatureError:
        """Return the error for a name without a feature. It lists the similar names, then all names."""
        bare = {known.partition(".")[2]: known for known in self.by_column}
        close = [
            *difflib.get_close_matches(name, self.by_column, 1),
            *difflib.get_close_matches(name, bare, 1),
        ]
        hint = f"did you mean {bare.get(close[0], close[0])}? " if close else ""
        return SignatureError(
            f"{field}: no feature has this name, got {name!r}; {hint}the features are {', '.join(self.by_column)}"
        )

    def resolve(self, name: str, *, field: str) -> str:
        """Return the column for a name such as "item.price", "item_price" or "price", with its index if it has one.

        Raises:
            SignatureError: no feature or more than one has this name.
        """
        if _is_column(name, self.by_column):
            return name
        matches = [
            column
            for column in self.by_column
            if name in {column.replace(".", "_"), column.replace(".", "__"), column.partition(".")[2]}
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise SignatureError(
                f"{field}: several features have this name, got {name!r}; use one of {', '.join(matches)}"
            )
        raise self.unknown(name, field)

    def widths(self) -> Mapping[str, int]:
        """Return the numbers in each fixed feature, 0 for a scalar."""
        return {name: f.width for name, f in self.by_column.items() if not f.ragged}

    def vector_names(self, features: tuple[str, ...], *, field: str) -> list[str]:
        """Return one column name per number of a vector.

        Raises:
            SignatureError: a feature does not exist, is ragged, or has fewer numbers than its index needs.
        """
        for name in features:
            group, bare, index = _split(name, field)
            feature = self.get(f"{group}.{bare}", field=field)
            if feature.ragged:
                raise SignatureError(
                    f"{field}: {name} is ragged, so it has no fixed number of values; use a feature with a fixed "
                    f"shape, such as an aggregate"
                )
            if index is not None and index >= feature.width:
                has = f"{feature.width} numbers" if feature.shape else "one number, without an index"
                raise SignatureError(f"{field}: no number {name}; {feature.column} has {has}")
        return column_names(features, self.widths())

    def compact(self, columns: list[str]) -> tuple[str, ...]:
        """Return "item.position" for item.position.0, item.position.1, if the run has all its numbers in order."""
        result: list[str] = []
        at = 0
        while at < len(columns):
            group, name, index = split_name(columns[at])
            feature = self.by_column[f"{group}.{name}"]
            run = column_names([feature.column], self.widths())
            if index == 0 and columns[at : at + len(run)] == run:
                result.append(feature.column)
                at += len(run)
            else:
                result.append(columns[at])
                at += 1
        return tuple(result)


def _is_column(name: str, known: Mapping[str, KnownFeature]) -> bool:
    try:
        group, bare, _ = split_name(name)
    except ValueError:
        return False
    return f"{group}.{bare}" in known


def _split(name: str, field: str) -> tuple[str, str, int | None]:
    try:
        return split_name(name)
    except ValueError as error:
        raise SignatureError(f"{field}: {error}; use names such as item.price or item.position.0") from error
