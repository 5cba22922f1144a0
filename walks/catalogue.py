"""Writes the routes as a catalogue: columns for the models, one GeoJSON feature a route for people."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import write_catalogue
from walks.attributes import ATTRIBUTES, RouteFacts, embed
from walks.features import FEATURES
from walks.graph import WalkGraph
from walks.sources import MAP
from walks.surroundings import Surroundings
from walks.texts import Writer

ATTRIBUTION = MAP.licence
CELLS_PER_DEGREE = (400.0, 200.0)
"""A start cell is 1/400 degree of latitude by 1/200 of longitude: 278 m by 277 m in Helsinki."""

_COLUMNS_PER_ROW = 1 << 20


def cell_of(latlon: NDArray[np.floating]) -> NDArray[np.int64]:
    """Number (N,) of the cell that holds each position (N, 2) lat, lon degrees."""
    row, column = np.floor(np.asarray(latlon, dtype=np.float64) * CELLS_PER_DEGREE).astype(np.int64).T
    return np.asarray((row + 90 * 400) * _COLUMNS_PER_ROW + column + 180 * 200)


def route_ids(latlon: Sequence[NDArray[np.float64]]) -> list[str]:
    """Stable ids: a hash of each route's geometry, to the 1e-7 degrees that OpenStreetMap stores."""
    return [
        "helsinki-" + hashlib.sha256(np.round(line * 1e7).astype("<i8").tobytes()).hexdigest()[:10]
        for line in latlon
    ]


def write_routes(
    root: Path,
    graph: WalkGraph,
    around: Surroundings,
    facts: RouteFacts,
    ids: Sequence[str],
    popularity: NDArray[np.float32],
    version: str,
) -> None:
    """Write the catalogue of all routes; `popularity` is (R,)."""
    latlon = [graph.projection.to_latlon(line) for line in facts.lines]
    attributes = facts.normalised()
    start = np.array([line[0] for line in latlon])
    cells = cell_of(start)
    writer = Writer(graph, around, facts)
    names = writer.names()
    write_catalogue(
        root,
        name="walks",
        version=version,
        feature_hash=FEATURES.content_hash,
        ids=ids,
        columns={
            "attributes": attributes,
            "start": start.astype(np.float32),
            "embedding": embed(attributes, facts, graph.names),
            "popularity": popularity,
            "cell": cells,
        },
        details=[
            _feature(
                ids[row], names[row], writer.description(row), latlon[row], facts.values[row], int(cells[row])
            )
            for row in range(len(ids))
        ],
        position_column="start",
        attribution=ATTRIBUTION,
    )


def _feature(
    item_id: str,
    name: str,
    description: str,
    line: NDArray[np.float64],
    values: NDArray[np.float64],
    cell: int,
) -> bytes:
    """One GeoJSON Feature (RFC 7946: lon, lat)."""
    told: dict[str, Any] = {a.name: round(float(v), 4) for a, v in zip(ATTRIBUTES, values, strict=True)}
    surface = {
        key.removeprefix("surface_"): told.pop(key) for key in list(told) if key.startswith("surface_")
    }
    places = {
        key.removeprefix("places_"): int(told.pop(key)) for key in list(told) if key.startswith("places_")
    }
    feature = {
        "type": "Feature",
        "id": item_id,
        "geometry": {"type": "LineString", "coordinates": np.round(line[:, ::-1], 6).tolist()},
        "properties": {
            "name": name,
            "description": description,
            "length_m": round(1000.0 * told.pop("length_km"), 1),
            "loop": bool(told.pop("loop")),
            "start_cell": cell,
            "surface": surface,
            "places": places,
            **told,
            "attribution": ATTRIBUTION,
        },
    }
    return json.dumps(feature, ensure_ascii=False, separators=(",", ":")).encode()
