"""Route names and descriptions, composed from the streets, parks, squares and places that a route passes."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from walks.map.graph import WalkGraph
from walks.map.surroundings import Surroundings
from walks.routes.attributes import RouteFacts

WALKING_KMH = 4.7
_GROUND = {"paved": "paved", "stone": "cobbles and stone slabs", "unpaved": "gravel and earth"}
_ALONG = (("park", "in parks"), ("water", "by the water"), ("major", "beside busy roads"))
_GIST = (
    ("park", "in parks"),
    ("water", "by the water"),
    ("major", "beside busy roads"),
    ("foot_only", "free of cars"),
)
_COUNTED = (
    ("cafe", "café", "cafés"),
    ("culture", "museum, theatre or library", "museums, theatres and libraries"),
    ("sights", "monument or artwork", "monuments and artworks"),
    ("rest", "bench or rest stop", "benches and rest stops"),
)


class Writer:
    """Writes the texts for one set of routes. Names are unique within the set."""

    def __init__(self, graph: WalkGraph, around: Surroundings, facts: RouteFacts) -> None:
        """Prepare to write about the routes in `facts`."""
        self._graph, self._around, self._facts = graph, around, facts
        self._area_names = [area.name for area in around.areas]
        # A place that few routes pass says more about a route.
        self._place_rank = np.bincount(facts.places.indices, minlength=len(around.places))

    def names(self) -> list[str]:
        """Return a unique name for each route, from areas, streets and length.

        Names that coincide get more streets, and at last a number.
        """
        names = [self._name(row) for row in range(len(self._facts.lines))]
        for vias in (1, 2, 3):
            shared = Counter(names)
            names = [name if shared[name] == 1 else self._name(row, vias) for row, name in enumerate(names)]
        counts: Counter[str] = Counter()
        for row, name in enumerate(names):
            counts[name] += 1
            if counts[name] > 1:
                names[row] = f"{name} ({counts[name]})"
        return names

    def description(self, row: int) -> str:
        """Return two to four sentences about a route."""
        facts = self._facts
        km = facts.column("length_km")[row]
        streets, areas = self._streets(row), self._areas(row)
        minutes = round(60 * km / WALKING_KMH)
        ends = self._ends(row)
        kind = "loop" if self._is_loop(row) else f"walk from {ends[0]} to {ends[1]}" if ends else "walk"
        first = f"A {km:.1f} km {kind}, about {minutes} minutes"
        if streets:
            first += f", along {_listed(streets[:3])}"
        if areas:
            first += f"{' and' if streets else ''} past {_listed(areas[:3])}"
        return " ".join([f"{first}.", *self._ground(row), *self._passed(row)])

    def summaries(self) -> list[str]:
        """Return every route's summary."""
        return [self.summary(row) for row in range(len(self._facts.lines))]

    def summary(self, row: int) -> str:
        """Return one line that describes a route without numbers. Its embedding is made from this line."""
        facts = self._facts
        words = [word for column, word in _GIST if facts.column(column)[row] >= 0.3]
        words += [f"on {_GROUND[name]}" for name in _GROUND if facts.column(f"surface_{name}")[row] >= 0.5]
        words += ["with stairs"] * int(facts.column("stair_flights")[row] >= 1.0)
        words += [plural for column, _, plural in _COUNTED if facts.column(f"places_{column}")[row] >= 2.0]
        named = (self._areas(row)[:2] + self._notable(row) + self._streets(row))[:4]
        return f"{'Loop' if self._is_loop(row) else 'Walk'} {', '.join(words)}: {', '.join(named)}"

    def _name(self, row: int, vias: int = 0) -> str:
        loop = self._is_loop(row)
        areas, streets = self._areas(row), self._streets(row)
        if loop:
            title_names = (areas[:2] + streets[:2])[:2]
            title = f"{' and '.join(title_names)} loop" if title_names else "Nameless loop"
        else:
            ends = self._ends(row)
            title_names = list(ends)
            title = f"{ends[0]} to {ends[1]}" if ends else f"{(areas + streets + ['Nameless'])[0]} walk"
            if ends and areas:
                title_names.append(areas[0])
                title = f"{title} by {areas[0]}"
        more_names = [name for name in streets + areas[1:] if name not in title_names][:vias]
        via = f" via {_listed(more_names)}" if more_names else ""
        return f"{title}{via}, {self._facts.column('length_km')[row]:.1f} km"

    def _is_loop(self, row: int) -> bool:
        return bool(self._facts.column("loop")[row] > 0)

    def _ends(self, row: int) -> tuple[str, str] | tuple[()]:
        """Return the names of the streets where a walk begins and ends, or () if they are equal or one has no name."""
        names = self._graph.names
        first, last = names[self._facts.first_street[row]], names[self._facts.last_street[row]]
        return (first, last) if first and last and first != last else ()

    def _streets(self, row: int) -> list[str]:
        return _longest(self._facts.street_m, row, self._graph.names, least=40.0)

    def _areas(self, row: int) -> list[str]:
        return _longest(self._facts.area_m, row, self._area_names, least=40.0)

    def _ground(self, row: int) -> list[str]:
        facts = self._facts
        parts: list[str] = []
        for column, words in _ALONG:
            share = facts.column(column)[row]
            if share >= 0.1:
                parts.append(
                    f"{100 * share:.0f}% {words}" if parts else f"{100 * share:.0f}% of it lies {words}"
                )
        shares = {name: facts.column(f"surface_{name}")[row] for name in _GROUND}
        most = max(shares, key=lambda name: shares[name])
        sentences = [f"{_listed(parts)}."] if parts else []
        stairs = int(facts.column("stair_flights")[row])
        if shares[most] >= 0.4:
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
        counted = [
            f"{counts[c]} {singular if counts[c] == 1 else plural}"
            for c, singular, plural in _COUNTED
            if counts[c]
        ]
        if not counted:
            return []
        sentence, named = f"You pass {_listed(counted)}", self._notable(row)
        return [f"{sentence}, {_listed(named)} among them." if named else f"{sentence}."]

    def _notable(self, row: int) -> list[str]:
        """Return at most two named places that few other routes pass."""
        span = slice(*self._facts.places.indptr[row : row + 2])
        places = [(self._place_rank[p], self._around.places[p]) for p in self._facts.places.indices[span]]
        named = [(rank, place.name) for rank, place in places if place.name and place.category in _NOTABLE]
        return list(dict.fromkeys(name for _, name in sorted(named)))[:2]


_NOTABLE = frozenset({"culture", "sights", "cafe"})


def _longest(metres: csr_matrix, row: int, names: list[str], least: float) -> list[str]:
    """Return the names of a row's columns with at least `least` metres, longest first."""
    span = slice(metres.indptr[row], metres.indptr[row + 1])
    values: NDArray[np.float64] = metres.data[span]
    columns = metres.indices[span]
    order = np.lexsort((columns, -values))
    return list(dict.fromkeys(names[columns[i]] for i in order if values[i] >= least))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
