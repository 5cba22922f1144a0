"""Writes the routes as a catalogue: columns for the models, and one GeoJSON feature per route for people."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue_writer import write_catalogue
from walks.data.features import FEATURES
from walks.routes.attributes import ATTRIBUTES, RouteFacts
from walks.routes.texts import Writer
from walks.sources import MAP

ATTRIBUTION = MAP.licence


def route_ids(latlon: Sequence[NDArray[np.float64]]) -> list[str]:
    """Return stable ids: a hash of each route's geometry in 1e-7 degrees, OpenStreetMap's resolution."""
    return [
        "helsinki-" + hashlib.sha256(np.round(line * 1e7).astype("<i8").tobytes()).hexdigest()[:10]
        for line in latlon
    ]


def write_routes(
    root: Path,
    writer: Writer,
    facts: RouteFacts,
    latlon: Sequence[NDArray[np.float64]],
    ids: Sequence[str],
    embedding: NDArray[np.float32],
    popularity: NDArray[np.float32],
    cells: NDArray[np.int64],
    version: str,
) -> None:
    """Write a catalogue with R routes.

    Args:
        root: the catalogue's folder.
        writer: writes the names, summaries and descriptions.
        facts: the routes' attributes.
        latlon: each route's geometry, (n, 2) lat, lon degrees.
        ids: the routes' item ids.
        embedding: (R, D) summary embeddings.
        popularity: (R,) smoothed mean ratings.
        cells: (R,) cell in which each route starts.
        version: the catalogue's version.
    """
    names = writer.names()
    write_catalogue(
        root,
        name="walks",
        version=version,
        features=FEATURES,
        ids=ids,
        columns={
            "attributes": facts.normalised(),
            "start": np.array([line[0] for line in latlon]).astype(np.float32),
            "end": np.array([line[-1] for line in latlon]).astype(np.float32),
            "embedding": embedding,
            "popularity": popularity,
            "cell": cells,
        },
        details=[
            _feature(
                ids[row],
                names[row],
                (writer.summary(row), writer.description(row)),
                latlon[row],
                facts.values[row],
                int(cells[row]),
            )
            for row in range(len(ids))
        ],
        position_column="start",
        attribution=ATTRIBUTION,
    )


def _feature(
    item_id: str,
    name: str,
    texts: tuple[str, str],
    line: NDArray[np.float64],
    values: NDArray[np.float64],
    cell: int,
) -> bytes:
    """Return one encoded GeoJSON Feature (RFC 7946: lon, lat)."""
    attributes: dict[str, Any] = {a.name: round(float(v), 4) for a, v in zip(ATTRIBUTES, values, strict=True)}
    surface = {
        key.removeprefix("surface_"): attributes.pop(key)
        for key in list(attributes)
        if key.startswith("surface_")
    }
    places = {
        key.removeprefix("places_"): int(attributes.pop(key))
        for key in list(attributes)
        if key.startswith("places_")
    }
    feature = {
        "type": "Feature",
        "id": item_id,
        "geometry": {"type": "LineString", "coordinates": np.round(line[:, ::-1], 6).tolist()},
        "properties": {
            "name": name,
            "summary": texts[0],
            "description": texts[1],
            "length_m": round(1000.0 * attributes.pop("length_km"), 1),
            "loop": bool(attributes.pop("loop")),
            "start_cell": cell,
            "surface": surface,
            "places": places,
            **attributes,
            "attribution": ATTRIBUTION,
        },
    }
    return json.dumps(feature, ensure_ascii=False, separators=(",", ":")).encode()
