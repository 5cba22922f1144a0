"""Candidate sources for requests that name no candidates: the items near the user, or a random sample.

The model thread draws the rows for a whole batch at once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from services.errors import ConfigError, StageFailed
from services.plugins import opening
from services.stages.extent import POSITION, Extent, has_position
from services.stages.places import places_of


class CandidatesConfig(BaseModel):
    """How candidates are found.

    Attributes:
        kind: "near" takes the ``count`` items nearest to ``context.position``, "sample" takes random items.
        count: candidates per request.
        max_count: the most candidates that a request may name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "near"
    count: int = Field(default=200, ge=1, le=100_000)
    max_count: int = Field(
        default=1000, ge=1, le=100_000, description="the most candidates that a request may send"
    )


class CandidateSource(Protocol):
    """Draws candidates for requests that name none."""

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Return int64 (requests, count) catalogue rows."""
        ...


Options = TypeVar("Options", bound=CandidatesConfig)


@dataclass(frozen=True, slots=True)
class SourceKind(Generic[Options]):
    """The descriptor for one kind of candidate source.

    Attributes:
        config: the options class.
        open: makes the source over a catalogue, or raises ``ConfigError``.
    """

    config: type[Options]
    open: Callable[[Options, Catalogue, FeatureSet], CandidateSource]


AnySourceKind = SourceKind[Any]
SOURCES: Registry[AnySourceKind] = Registry(
    "candidate source",
    {
        "near": "services.stages.candidates:NEAR",
        "sample": "services.stages.candidates:SAMPLE",
    },
    entry=SourceKind,
    options=CandidatesConfig,
    group="rankway.candidate_sources",
)
SourceConfig = Annotated[CandidatesConfig, ByKind(SOURCES, default="near")]


def candidate_source(
    config: CandidatesConfig, catalogue: Catalogue, definitions: FeatureSet
) -> CandidateSource:
    """Return the configured source.

    Raises:
        ConfigError: the catalogue is too small or has no positions, or requests have no position.
    """
    if not catalogue.item_count:
        raise ConfigError("has no items; build it again, from a file with items", field="catalogue")
    if config.count > catalogue.item_count:
        raise ConfigError(
            f"must be at most {catalogue.item_count}, the number of items in the catalogue, got {config.count}; lower "
            f"it",
            field="candidates.count",
        )
    with opening(SOURCES, config, "candidates"):
        source: CandidateSource = SOURCES.for_config(config).open(config, catalogue, definitions)
    return source if config.kind in SOURCES.builtins else CheckedSource(source, config, catalogue)


def extent_of(source: CandidateSource) -> Extent | None:
    """Return the region of the items from which a source draws by position. None for other sources."""
    return source.extent if isinstance(source, NearSource) else None


class CheckedSource:
    """Checks the rows from another package's source. A wrong row number would name another item or no item."""

    def __init__(self, source: CandidateSource, config: CandidatesConfig, catalogue: Catalogue) -> None:
        """Wrap ``source``. It must draw ``config.count`` rows from the catalogue."""
        self._source, self._config, self._catalogue = source, config, catalogue
        self._other = SampleSource(catalogue, config.count)
        self._turns = Lock()  # another package's source may rely on one call at a time

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Draw the rows. A row that is no longer in use is replaced by a random one.

        Raises:
            StageFailed: the rows have another shape or type, or are not in the catalogue.
        """
        with self._turns:
            result: Any = self._source.draw(context, requests)
        rows, shape = np.asarray(result), (requests, self._config.count)
        if rows.shape != shape or rows.dtype.kind not in "iu":
            raise StageFailed(
                f"candidates: source {self._config.kind} returned the wrong type or shape, got {rows.dtype} "
                f"{rows.shape}; return int64 {shape}"
            )
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < len(self._catalogue):
            raise StageFailed(
                f"candidates: source {self._config.kind} returned rows that are not in the catalogue, got "
                f"{int(rows.min())} to {int(rows.max())}; return rows from 0 to {len(self._catalogue) - 1}"
            )
        rows = rows.astype(np.int64, copy=False)
        if not len(self._catalogue.dead):
            return rows
        is_living = self._catalogue.living(rows.reshape(-1)).reshape(shape)
        return np.where(is_living, rows, self._other.draw(context, requests))


def _open_sample(config: CandidatesConfig, catalogue: Catalogue, definitions: FeatureSet) -> "SampleSource":
    return SampleSource(catalogue, config.count)


def _open_near(config: CandidatesConfig, catalogue: Catalogue, definitions: FeatureSet) -> "NearSource":
    column = catalogue.manifest.position_column
    if column is None:
        raise ConfigError(
            "near needs a catalogue with a position column; set the kind to sample, or build the catalogue "
            "with this column",
            field="candidates.kind",
        )
    if not has_position(definitions):
        raise ConfigError(
            f"near needs a context feature {POSITION} of shape (2,); set the kind to sample, or define it",
            field="candidates.kind",
        )
    positions = catalogue.columns[column]
    if positions.shape[1:] != (2,) or not np.isfinite(positions).all():
        raise ConfigError(
            f"candidates.kind near needs the latitude and longitude of every item, and column {column} lacks some; "
            f"build the catalogue again",
            field="catalogue",
        )
    return NearSource(catalogue, positions, config.count)


class SampleSource:
    """Random items. No item is twice in a request."""

    def __init__(self, catalogue: Catalogue, count: int) -> None:
        """Draw ``count`` rows from the catalogue."""
        self._item_count = catalogue.item_count
        self._count = count
        self._random = np.random.default_rng()
        # A dead row and all rows after it have numbers that are higher by the number of dead rows before them.
        self._skips = catalogue.dead - np.arange(len(catalogue.dead))

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Return random rows. The context does not matter."""
        rows = self._random.integers(0, self._item_count, (requests, self._count))
        for request in self._to_draw_again(rows):
            rows[request] = self._random.choice(self._item_count, self._count, replace=False)
        return rows + np.searchsorted(self._skips, rows, side="right") if len(self._skips) else rows

    def _to_draw_again(self, rows: NDArray[np.int64]) -> Iterable[int]:
        """Return the requests that may have an item twice.

        A draw without repeats takes 4 us for each request. Of a large catalogue, few requests need it.
        """
        if self._count**2 > self._item_count:
            return range(len(rows))
        ordered = np.sort(rows, axis=1)
        return np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)).tolist()


class NearSource:
    """The items nearest to ``context.position`` (latitude, longitude in degrees), on a local plane.

    Attributes:
        extent: the region of the items.
    """

    def __init__(self, catalogue: Catalogue, positions: NDArray[np.float32], count: int) -> None:
        """Index ``positions`` (rows, 2) in degrees."""
        self._count = count
        self.extent = Extent.of(positions)
        self._places = places_of(catalogue, positions)

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Return the nearest rows, nearest first."""
        return self._places.nearest(context[POSITION], self._count).reshape(requests, self._count)

    def nearest(self, context: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int64]:
        """Return each request's nearest row, int64 (requests,)."""
        return self._places.nearest(context[POSITION], 1).reshape(-1)


NEAR = SourceKind(config=CandidatesConfig, open=_open_near)
SAMPLE = SourceKind(config=CandidatesConfig, open=_open_sample)
