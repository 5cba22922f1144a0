"""Small street maps, written as OSM XML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

ORIGIN_LAT, ORIGIN_LON = 60.17, 24.94
STEP_LAT, STEP_LON = 0.0009, 0.0018
"""Steps of about 100 m in both directions."""

Tags = Mapping[str, str]
Nodes = dict[int, tuple[float, float, Tags]]
"""Latitude, longitude and tags by id."""


def write_osm(path: Path, nodes: Nodes, ways: Sequence[tuple[Sequence[int], Tags]]) -> Path:
    """Write nodes (id -> lat, lon, tags) and ways (node ids, tags) as OSM XML."""
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", '<osm version="0.6" generator="test">']
    for number, (lat, lon, tags) in nodes.items():
        lines.append(f'<node id="{number}" version="1" lat="{lat:.7f}" lon="{lon:.7f}">{_tags(tags)}</node>')
    for number, (refs, tags) in enumerate(ways, start=1):
        inside = "".join(f'<nd ref="{ref}"/>' for ref in refs)
        lines.append(f'<way id="{number}" version="1">{inside}{_tags(tags)}</way>')
    path.write_text("\n".join([*lines, "</osm>"]), encoding="utf-8")
    return path


def grid_map(path: Path, width: int, height: int, extra: Sequence[tuple[Sequence[int], Tags]] = ()) -> Path:
    """Write a grid of streets and paths about 100 m apart. Node ids are row * width + column + 1."""
    nodes: Nodes = {
        row * width + column + 1: (ORIGIN_LAT + row * STEP_LAT, ORIGIN_LON + column * STEP_LON, {})
        for row in range(height)
        for column in range(width)
    }
    ways: list[tuple[Sequence[int], Tags]] = []
    for row in range(height):
        refs = [row * width + column + 1 for column in range(width)]
        ways.append((refs, {"highway": "residential", "name": f"Row {row}", "surface": "asphalt"}))
    for column in range(width):
        refs = [row * width + column + 1 for row in range(height)]
        ways.append((refs, {"highway": "footway", "name": f"Column {column}", "surface": "gravel"}))
    return write_osm(path, nodes, [*ways, *extra])


def _tags(tags: Tags) -> str:
    return "".join(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags.items())
