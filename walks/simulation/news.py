"""SIMULATED news: short texts from templates with real names from the map, each about one cell for some hours.

No news is real. Each piece has a topic, but models see only the text's embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from walks.map.cells import Cells
from walks.map.graph import WalkGraph
from walks.map.surroundings import Surroundings

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "green": (
        "The flower beds at {place} are in full bloom, gardeners say.",
        "Volunteers plant forty new trees around {place}.",
        "Birdwatchers meet at {place} for a guided nature walk.",
        "Autumn leaves and picnic lawns: {place} at its greenest.",
    ),
    "water": (
        "A sauna raft and a small harbour market open by the water near {place}.",
        "Sailing boats gather offshore; the best view is from {place}.",
        "Fountains and pools are running again at {place}.",
        "Swimmers and rowing crews meet at the waterfront close to {place}.",
    ),
    "culture": (
        "A new art exhibition opens at {place} with free entry today.",
        "Open-air theatre and poetry evening at {place}.",
        "Historians give guided tours of the monuments around {place}.",
        "Street musicians and a museum night bring {place} to life.",
    ),
    "food": (
        "A street food market with pastries and coffee sets up at {place}.",
        "Bakers and brewers offer tastings at {place} this week.",
        "A popular new café has opened its doors beside {place}.",
        "Restaurant day: pop-up kitchens all around {place}.",
    ),
    "quiet": (
        "The street at {place} is closed to cars for a calm, silent day.",
        "A reading garden and a meditation hour: silence at {place}.",
        "Traffic is diverted away from {place}; residents enjoy the quiet.",
    ),
    "exercise": (
        "A running club starts its stair training at {place}; all may join.",
        "New outdoor gym equipment is ready to use at {place}.",
        "A charity fitness walk with a step challenge passes {place}.",
    ),
    "works": (
        "Roadworks at {place}: drilling, dust and narrow pavements.",
        "A burst water main floods the street at {place}; crews are at work.",
        "Noisy construction and scaffolding block the pavement near {place}.",
    ),
    "crowd": (
        "Large crowds are expected at {place} for a concert tonight.",
        "A demonstration marches past {place}; streets are packed.",
        "Cruise passengers and festival visitors fill {place}.",
    ),
}
TOPICS = tuple(_TEMPLATES)
EFFECT = np.array(
    [
        [1.5, 0.3, 0.0, 0.0, 0.4, 0.2],
        [0.3, 1.5, 0.0, 0.1, 0.3, 0.2],
        [0.0, 0.0, 1.5, 0.3, -0.2, 0.0],
        [0.0, 0.1, 0.3, 1.5, -0.4, 0.0],
        [0.5, 0.3, 0.0, 0.0, 1.5, 0.2],
        [0.3, 0.2, 0.0, 0.0, -0.3, 1.5],
        [-0.6, -0.4, -0.5, -0.5, -1.8, -0.6],
        [-0.4, -0.3, 0.4, 0.6, -1.8, -0.3],
    ],
    dtype=np.float32,
)
"""(len(TOPICS), len(INTERESTS)): effect of news, by its topic and the person's interest, in logits."""

FADES_H = 48.0
"""The effect of news is multiplied by exp(-age / FADES_H)."""

_CATEGORIES = {
    "culture": {"culture", "sights", "worship"},
    "food": {"cafe", "restaurant", "bar", "shop"},
    "exercise": {"play"},
}
_AREAS = {"green": "park", "water": "water", "crowd": "square"}
_SPAN_H, _SPAN_SPREAD = 40.0, 0.7


@dataclass(frozen=True)
class News:
    """K pieces of news ordered by time, and the newest piece in each cell at each hour."""

    cell: NDArray[np.int64]  # (K,)
    topic: NDArray[np.int64]  # (K,) index into TOPICS
    hour: NDArray[np.int64]  # (K,) hour at which it comes out, counted from the series' start
    until: NDArray[np.int64]  # (K,) hour at which it ends
    newest: NDArray[np.int32]  # (H, C) index of the newest piece that has not ended, or -1

    def age_h(self, hour: NDArray[np.int64], cell: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the hours since each cell's newest news came out. Infinite if a cell has no news.

        Args:
            hour: hours of the series, in any shape that broadcasts with `cell`.
            cell: cell numbers.
        """
        news = self.newest[hour, cell]
        return np.where(news >= 0, hour - self.hour[news], np.inf).astype(np.float32)


def draw_news(
    cells: Cells,
    names: Sequence[Mapping[str, Sequence[str]]],
    hours: int,
    interval_h: float,
    rng: np.random.Generator,
) -> tuple[News, list[str]]:
    """Draw news for `hours` hours, and the texts.

    Args:
        cells: the grid.
        names: for each cell, the names that fit each topic (see `names_of`).
        hours: the series' length.
        interval_h: mean hours between two pieces of news in a cell.
        rng: random numbers.
    """
    count = rng.poisson(hours / interval_h, len(cells))
    count[0] = max(count[0], 1)  # there is always at least one piece of news
    cell = np.repeat(np.arange(len(cells)), count)
    hour = rng.integers(0, hours, len(cell))
    order = np.lexsort((cell, hour))
    cell, hour = cell[order], hour[order]
    span = np.clip(_SPAN_H * np.exp(rng.normal(0.0, _SPAN_SPREAD, len(cell))), 4.0, 96.0).astype(np.int64)
    weight = np.array([[1.0 + np.sqrt(len(fitting[topic])) for topic in TOPICS] for fitting in names])
    weight[:, TOPICS.index("works") :] = 3.0
    steps = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)[cell]
    topic = np.minimum((rng.random(len(cell))[:, None] > steps).sum(axis=1), len(TOPICS) - 1)
    newest = np.full((hours, len(cells)), -1, dtype=np.int32)
    texts = []
    for number, (owner, kind, since) in enumerate(
        zip(cell.tolist(), topic.tolist(), hour.tolist(), strict=True)
    ):
        newest[since : since + span[number], owner] = number
        templates = _TEMPLATES[TOPICS[kind]]
        fitting = names[owner][TOPICS[kind]] or names[owner]["any"]
        place = fitting[int(rng.integers(len(fitting)))]
        texts.append(templates[int(rng.integers(len(templates)))].format(place=place))
    return News(cell, topic, hour, hour + span, newest), texts


def names_of(cells: Cells, graph: WalkGraph, around: Surroundings) -> list[dict[str, list[str]]]:
    """Return, for each cell, the real names in the cell that fit each topic.

    The list under "any" has the cell's streets and is never empty.
    """
    kinds: list[dict[str, set[str]]] = [
        {topic: set() for topic in (*TOPICS, "any")} for _ in range(len(cells))
    ]
    place_cell = cells.index_at(np.array([place.latlon for place in around.places]).reshape(-1, 2))
    for cell, place in zip(place_cell.tolist(), around.places, strict=True):
        for topic, categories in _CATEGORIES.items():
            if cell >= 0 and place.name and place.category in categories:
                kinds[cell][topic].add(place.name)
    lonlat = shapely.get_coordinates(shapely.point_on_surface([area.geometry for area in around.areas]))
    area_cell = cells.index_at(lonlat[:, ::-1].reshape(-1, 2))
    for cell, area in zip(area_cell.tolist(), around.areas, strict=True):
        for topic, kind in _AREAS.items():
            if cell >= 0 and area.kind == kind:
                kinds[cell][topic].add(area.name)
    middles = graph.points[(graph.offsets[:-1] + graph.offsets[1:]) // 2]
    street_cell = cells.index_at(graph.projection.to_latlon(middles))
    for cell, street in zip(street_cell.tolist(), around.street.tolist(), strict=True):
        if cell >= 0 and street:
            kinds[cell]["any"].add(graph.names[street])
    return [
        {
            topic: sorted(names) or (["the city centre"] if topic == "any" else [])
            for topic, names in kind.items()
        }
        for kind in kinds
    ]
