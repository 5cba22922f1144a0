import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from models.features.catalogue import Catalogue
from walks.errors import BadMapError, NoWorldError, UnknownRouteError
from walks.map.picture import ATTRIBUTION, draw_route, find_route
from walks.sources import MAP, locate
from walks.world import World


def test_a_route_is_drawn_on_the_map_with_its_attribution(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    original_savefig = Figure.savefig

    def savefig(figure: Figure, *args: object, **options: object) -> None:
        figures.append(figure)
        original_savefig(figure, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", savefig)
    feature = find_route(world, Catalogue.open(world.catalogue).ids[3])
    out = tmp_path / "route.png"
    draw_route(feature, locate(MAP), out)
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
        assert image.info["Copyright"] == ATTRIBUTION
    red = (np.abs(pixels - [0xC8, 0x32, 0x1E]) < 30).all(axis=2)
    assert red.sum() > 500
    (axes,) = figures[0].axes
    assert ATTRIBUTION in {text.get_text() for text in axes.texts}
    assert feature["properties"]["name"] in axes.get_title()
    assert [path.name for path in tmp_path.iterdir()] == ["route.png"]


def test_error_for_unknown_route_shows_an_example_id(world: World) -> None:
    with pytest.raises(UnknownRouteError, match=r"no route 'nowhere' among the 300 routes of .*helsinki-"):
        find_route(world, "nowhere")


def test_error_without_a_world_names_the_build_command(tmp_path: Path) -> None:
    with pytest.raises(NoWorldError, match="rankway walks build"):
        find_route(World(tmp_path), "helsinki-1")


def test_broken_map_leaves_no_picture_file(world: World, tmp_path: Path) -> None:
    feature = json.loads(Catalogue.open(world.catalogue).details(0))
    half = tmp_path / "half.osm.pbf"
    half.write_bytes(locate(MAP).read_bytes()[:100_000])
    with pytest.raises(BadMapError):
        draw_route(feature, half, tmp_path / "route.png")
    assert not (tmp_path / "route.png").exists()
