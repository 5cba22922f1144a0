"""Draws a route as a PNG, on the street map from which it was made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from walks.errors import NoWorldError, UnknownRouteError
from walks.map.geometry import Projection
from walks.map.osm import MAJOR, RawMap, read_map
from walks.world import World

ATTRIBUTION = "© OpenStreetMap contributors"
MARGIN_M = 120.0
_GROUND, _ROUTE = "#f4f1ea", "#c8321e"
_FILL = {"park": "#cfe6c0", "water": "#b5d3e7", "square": "#e9e2d0"}
_STREET_WIDTH = {
    "footway": 0.7,
    "path": 0.7,
    "steps": 0.7,
    "cycleway": 0.7,
    "service": 0.9,
    "pedestrian": 1.5,
}


def find_route(world: World, route_id: str) -> dict[str, Any]:
    """Return a route's GeoJSON feature.

    Raises:
        NoWorldError: the world is not built.
        UnknownRouteError: the world has no such route.
    """
    try:
        catalogue = Catalogue.open(world.catalogue)
    except ArtifactError as error:
        raise NoWorldError(f"{error}: run rankway walks build") from error
    row = catalogue.row_by_id.get(route_id)
    if row is None:
        raise UnknownRouteError(
            f"no route {route_id!r} among the {len(catalogue)} routes of {world.root}; use an id from an answer,"
            f" for example {catalogue.ids[0]}"
        )
    feature: dict[str, Any] = json.loads(catalogue.details(row))
    return feature


def draw_route(feature: dict[str, Any], map_file: Path, out: Path) -> None:
    """Draw a GeoJSON feature's route over the map's streets, parks and water.

    Raises:
        BadMapError: the map cannot be read. Nothing is written.
    """
    line = np.array(feature["geometry"]["coordinates"])[:, ::-1]
    raw, projection = read_map(map_file), Projection(*line.mean(axis=0).tolist())
    route = projection.to_xy(line)
    low, high = route.min(axis=0) - MARGIN_M, route.max(axis=0) + MARGIN_M
    wide, tall = (high - low) / max(high - low)
    figure = Figure(figsize=(1.0 + 7.0 * wide, 1.6 + 7.0 * tall), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.04, 0.96, 0.86))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", facecolor=_GROUND)
    axes.set(xticks=[], yticks=[])
    _ground(axes, raw, projection)
    axes.plot(*route.T, color="white", linewidth=5.5, solid_capstyle="round", zorder=4)
    axes.plot(*route.T, color=_ROUTE, linewidth=3.2, solid_capstyle="round", zorder=5)
    axes.plot(*route[0], marker="o", color="white", markeredgecolor=_ROUTE, markersize=10, mew=2.5, zorder=6)
    axes.plot(*route[-1], marker="s", color=_ROUTE, markeredgecolor="white", markersize=8, mew=1.5, zorder=6)
    properties = feature["properties"]
    axes.set_title(f"{properties['name']}\n{feature['id']}", fontsize=10)
    axes.text(
        *(0.995, 0.006),
        ATTRIBUTION,
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=8,
        zorder=7,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2.0},
    )
    part = out.with_name(out.name + ".part")
    try:
        figure.savefig(part, format="png", metadata={"Copyright": ATTRIBUTION})
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _ground(axes: Any, raw: RawMap, projection: Projection) -> None:
    """Draw parks, water, squares, shores and streets."""
    for order, kind in enumerate(_FILL):
        shapes = [ring for area in raw.areas if area.kind == kind for ring in _rings(area.geometry)]
        rings = [projection.to_xy(ring) for ring in shapes]
        axes.add_collection(PolyCollection(rings, facecolors=_FILL[kind], zorder=1 + 0.1 * order))
    shores = [projection.to_xy(line) for line in raw.shorelines]
    axes.add_collection(LineCollection(shores, colors="#6f9fbf", linewidths=1.5, zorder=2))
    order_of_node = np.argsort(raw.node_ids)
    ids = raw.node_ids[order_of_node]
    lines, widths = [], []
    for way in raw.ways:
        nodes = way.nodes[way.nodes >= 0]
        if len(nodes) > 1:
            lines.append(projection.to_xy(raw.node_latlon[order_of_node[np.searchsorted(ids, nodes)]]))
            widths.append(3.5 if way.highway in MAJOR else _STREET_WIDTH.get(way.highway, 2.0))
    axes.add_collection(LineCollection(lines, colors="#b9b2a5", linewidths=widths, zorder=3))


def _rings(shape: shapely.Geometry) -> list[NDArray[np.float64]]:
    """Return a polygon's or multipolygon's outer rings, each (n, 2) lat, lon degrees."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [np.asarray(part.exterior.coords)[:, 1::-1] for part in parts]
