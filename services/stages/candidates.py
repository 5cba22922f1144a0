"""Where candidates come from when a request names none: near the user, or a random sample.

Rows are drawn for a whole batch at once, on the model thread.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree

from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from services.errors import ConfigError

_KM_PER_DEGREE = 111.195
_POSITION = "position"


class CandidatesConfig(BaseModel):
    """How candidates are found. near: the ``count`` nearest to context.position; sample: at random."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["near", "sample"] = "near"
    count: int = Field(default=200, ge=1, le=100_000)
    max_count: int = Field(default=1000, ge=1, le=100_000, description="candidates a request may name")


class CandidateSource(Protocol):
    """Draws candidates for the requests that name none."""

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Give int64 (requests, count) catalogue rows."""
        ...


def candidate_source(
    config: CandidatesConfig, catalogue: Catalogue, definitions: FeatureSet
) -> CandidateSource:
    """Give the configured source.

    Raises:
        ConfigError: the catalogue is too small or has no positions, or requests have none.
    """
    if config.count > len(catalogue):
        raise ConfigError(
            f"candidates.count is {config.count}, the catalogue has {len(catalogue)} items: lower it",
            field="candidates.count",
        )
    if config.kind == "sample":
        return SampleSource(len(catalogue), config.count)
    column = catalogue.manifest.position_column
    if column is None:
        raise ConfigError(
            "candidates.kind is near, but the catalogue has no position column: use sample, or build the "
            "catalogue with one",
            field="candidates.kind",
        )
    if not any(f.name == _POSITION and f.shape == (2,) for f in definitions.group("context")):
        raise ConfigError(
            f"candidates.kind is near, but requests have no context feature {_POSITION} of shape (2,): use "
            f"sample, or define one",
            field="candidates.kind",
        )
    positions = catalogue.columns[column]
    if positions.shape[1:] != (2,) or not np.isfinite(positions).all():
        raise ConfigError(
            f"candidates.kind is near, but the catalogue's {column} is not (latitude, longitude) of every "
            f"item: build the catalogue again",
            field="catalogue",
        )
    return NearSource(positions, config.count)


class SampleSource:
    """Rows at random, with replacement."""

    def __init__(self, item_count: int, count: int) -> None:
        """Draw ``count`` of ``item_count`` rows."""
        self._item_count = item_count
        self._count = count
        self._random = np.random.default_rng()

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Give random rows; the context does not matter."""
        return self._random.integers(0, self._item_count, (requests, self._count))


class NearSource:
    """The items nearest to context.position (latitude, longitude in degrees), on a local plane."""

    def __init__(self, positions: NDArray[np.float32], count: int) -> None:
        """Index positions (items, 2) in degrees."""
        self._count = count
        self._scale = np.array([1.0, np.cos(np.radians(float(np.mean(positions[:, 0]))))]) * _KM_PER_DEGREE
        self._tree = cKDTree(np.asarray(positions, dtype=np.float64) * self._scale)

    def draw(self, context: Mapping[str, NDArray[np.float64]], requests: int) -> NDArray[np.int64]:
        """Give the nearest rows, nearest first."""
        return self._nearest(context, self._count).reshape(requests, self._count)

    def nearest(self, context: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int64]:
        """Give int64 (requests,): the nearest row of each."""
        return self._nearest(context, 1).reshape(-1)

    def _nearest(self, context: Mapping[str, NDArray[np.float64]], count: int) -> NDArray[np.int64]:
        _, rows = self._tree.query(np.asarray(context[_POSITION]) * self._scale, k=count)
        return np.asarray(rows, dtype=np.int64)
