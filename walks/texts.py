"""Names and descriptions of routes, put together from the streets, parks, squares and places they pass."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from walks.attributes import RouteFacts
from walks.graph import WalkGraph
from walks.surroundings import Surroundings

WALKING_KMH = 4.7
_GROUND = {"paved": "paved", "stone": "cobbles and stone slabs", "unpaved": "gravel and earth"}
_COUNTED = (
    ("cafe", "café", "cafés"),
    ("culture", "museum, theatre or library", "museums, theatres and libraries"),
    ("sights", "monument or artwork", "monuments and artworks"),
    ("rest", "bench or rest stop", "benches and rest stops"),
)


class Writer:
    """Writes the texts of one set of routes; names are unique within it."""

    def __init__(self, graph: WalkGraph, around: Surroundings, facts: RouteFacts) -> None:
        self._graph, self._around, self._facts = graph, around, facts
        self._area_names = [area.name for area in around.areas]
        self._area_kinds = {area.name: area.kind for area in around.areas}
        rarity = np.asarray((facts.places > 0).sum(axis=0)).ravel()
        self._place_rank = rarity  # a place that few routes pass says more about those that do

    def names(self) -> list[str]:
        """One name a route: its two most telling places, its kind, and, where needed, what sets it apart."""
        plain = [self._name(row) for row in range(len(self._facts.lines))]
        told: list[str] = []
        seen: Counter[str] = Counter()
        shared = Counter(plain)
        for row, name in enumerate(plain):
            longer = name
            if shared[name] > 1:
                vias = [via for via in self._streets(row)[:4] if via not in name]
                longer = f"{name} via {vias[0]}" if vias else name
            longer = f"{longer}, {self._facts.column('length_km')[row]:.1f} km"
            seen[longer] += 1
            told.append(longer if seen[longer] == 1 else f"{longer} ({seen[longer]})")
        return told

    def description(self, row: int) -> str:
        """Two to four sentences."""
        facts = self._facts
        km = facts.column("length_km")[row]
        loop = facts.column("loop")[row] > 0
        streets, areas = self._streets(row), self._areas(row)
        minutes = round(60 * km / WALKING_KMH)
        kind = "loop" if loop else "walk from start to end"
        first = f"A {km:.1f} km {kind}, about {minutes} minutes"
        if streets:
            first += f", along {_listed(streets[:3])}"
        if areas:
            first += f"{' and' if streets else ''} past {_listed(areas[:3])}"
        return " ".join([f"{first}.", *self._ground(row), *self._passed(row)])

    def _name(self, row: int) -> str:
        kind = "loop" if self._facts.column("loop")[row] > 0 else "walk"
        parts = (self._areas(row)[:2] + self._streets(row)[:2])[:2]
        if not parts:
            return f"Nameless {kind}"
        return f"{parts[0]} and {parts[1]} {kind}" if len(parts) > 1 else f"{parts[0]} {kind}"

    def _streets(self, row: int) -> list[str]:
        return _longest(self._facts.street_m, row, self._graph.names, least=40.0)

    def _areas(self, row: int) -> list[str]:
        return _longest(self._facts.area_m, row, self._area_names, least=40.0)

    def _ground(self, row: int) -> list[str]:
        facts = self._facts
        told = []
        for column, words in (
            ("park", "in parks"),
            ("water", "by the water"),
            ("major", "beside busy roads"),
        ):
            share = facts.column(column)[row]
            if share >= 0.1:
                told.append(f"{100 * share:.0f}% {words}")
        known = {name: facts.column(f"surface_{name}")[row] for name in _GROUND}
        most = max(known, key=lambda name: known[name])
        sentences = [f"It runs {_listed(told)}."] if told else []
        stairs = int(facts.column("stair_flights")[row])
        if known[most] >= 0.4:
            steps = (
                f", with {stairs} flight{'s' if stairs > 1 else ''} of stairs"
                if stairs
                else ", without stairs"
            )
            sentences.append(f"The ground is mostly {_GROUND[most]}{steps}.")
        elif stairs:
            sentences.append(
                f"There {'are' if stairs > 1 else 'is'} {stairs} flight{'s' * (stairs > 1)} of stairs."
            )
        return sentences

    def _passed(self, row: int) -> list[str]:
        places = self._facts.places
        passed = places.indices[places.indptr[row] : places.indptr[row + 1]]
        counts = Counter(self._around.places[place].category for place in passed)
        told = [f"{counts[c]} {one if counts[c] == 1 else many}" for c, one, many in _COUNTED if counts[c]]
        sentence = f"You pass {_listed(told)}" if told else ""
        known = [
            p for p in passed if self._around.places[p].name and self._around.places[p].category in _NOTABLE
        ]
        known = sorted(known, key=lambda p: (self._place_rank[p], self._around.places[p].name))
        named = list(dict.fromkeys(self._around.places[p].name for p in known))[:2]
        if not sentence:
            return []
        return [f"{sentence}, {_listed(named)} among them." if named else f"{sentence}."]


_NOTABLE = frozenset({"culture", "sights", "cafe"})


def _longest(metres: csr_matrix, row: int, names: list[str], least: float) -> list[str]:
    """Names of the columns of a row with at least so many metres, longest first."""
    span = slice(metres.indptr[row], metres.indptr[row + 1])
    values: NDArray[np.float64] = metres.data[span]
    columns = metres.indices[span]
    order = np.lexsort((columns, -values))
    return list(dict.fromkeys(names[columns[i]] for i in order if values[i] >= least))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
