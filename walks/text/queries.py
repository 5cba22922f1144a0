"""Synthetic search queries in words, with graded relevance for routes.

A query names one to three wishes that a route fulfils, each in one of several wordings. Relevance is a product over the
wishes: the degree to which a route fulfils each, according to the map and not to the route's text. Some wordings and
some routes are held out. A model that is evaluated on them must understand words that it did not see in training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue

LEAST = 0.1
"""Factor on a route's relevance for a wish that the route does not fulfil at all."""
_MOST_WISHES = 3
_PLACE_SHARE = 0.25
_HELD_OUT_EVERY = 5
_PLACE_WORDINGS = (("past {}", "around {}"), ("near {}",))
_FORMS = ("{}", "{}", "a walk {}", "somewhere {}", "route: {}")

Facts = Mapping[str, Any]
"""The properties in a route's details."""


@dataclass(frozen=True)
class Wish:
    """A property that a query may ask for.

    Attributes:
        met: returns the degree to which a route fulfils the wish, 0 to 1 after clipping.
        taught: wordings in training queries.
        held_out: wordings in held-out queries.
    """

    met: Callable[[Facts], float]
    taught: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class QuerySet:
    """Queries (Q,), their candidates as catalogue rows (Q, C), and the candidates' relevance (Q, C), 0 to 1."""

    queries: list[str]
    rows: NDArray[np.int64]
    relevance: NDArray[np.float32]


def _share(name: str, enough: float) -> Callable[[Facts], float]:
    return lambda facts: facts[name] / enough


def _surface(name: str, enough: float) -> Callable[[Facts], float]:
    return lambda facts: facts["surface"][name] / enough


def _count(name: str, enough: int) -> Callable[[Facts], float]:
    return lambda facts: facts["places"][name] / enough


WISHES = (
    Wish(
        _share("park", 0.4),
        ("in parks", "through green parks", "in the garden", "on grass", "under trees"),
        ("forest path", "in nature", "leafy"),
    ),
    Wish(
        _share("water", 0.25),
        ("by the water", "along the shore", "at the harbour", "by the lake", "waterfront"),
        ("by the sea", "on the coast", "seaside"),
    ),
    Wish(
        lambda facts: 1.0 - (facts["major"] - 0.1) / 0.4,
        ("quiet", "away from busy roads", "calm streets", "little traffic"),
        ("peaceful", "no noise of cars", "silent"),
    ),
    Wish(
        lambda facts: (facts["foot_only"] - 0.6) / 0.35,
        ("free of cars", "for pedestrians only", "car-free"),
        ("without cars", "no vehicles"),
    ),
    Wish(
        lambda facts: 1.0 - facts["stair_flights"] / 2.0,
        ("without stairs", "step-free", "with a pram", "no steps"),
        ("for a wheelchair", "no staircases"),
    ),
    Wish(
        lambda facts: facts["stair_flights"] / 4.0,
        ("with stairs", "up and down steps", "climbing stairs"),
        ("staircases for exercise",),
    ),
    Wish(
        _count("cafe", 10), ("cafés", "coffee on the way", "a cup of coffee"), ("an espresso", "cake and tea")
    ),
    Wish(
        _count("culture", 3),
        ("museums", "theatre", "a library", "culture"),
        ("art galleries", "exhibitions"),
    ),
    Wish(
        _count("sights", 14),
        ("monuments", "artworks", "statues", "sights"),
        ("sculptures", "landmarks"),
    ),
    Wish(
        _count("rest", 25),
        ("benches", "places to rest", "to sit on a bench"),
        ("somewhere to sit down", "for a picnic break"),
    ),
    Wish(
        _surface("stone", 0.5),
        ("on cobbles", "stone slabs", "old stone streets"),
        ("historic paving", "cobblestones"),
    ),
    Wish(_surface("unpaved", 0.3), ("on gravel", "soft ground", "earth path"), ("dirt trail", "unpaved")),
    Wish(
        lambda facts: float(facts["loop"]),
        ("a loop", "round trip", "back to the start"),
        ("circular", "a circuit"),
    ),
    Wish(lambda facts: 1.0 - facts["loop"], ("from one place to another", "one way"), ("not a circle",)),
)


class Walkers:
    """Draws queries for a catalogue's routes."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Compute the degree to which every route fulfils every wish."""
        decoder = msgspec.json.Decoder()
        self._facts = [decoder.decode(catalogue.details(row))["properties"] for row in range(len(catalogue))]
        met = [[wish.met(facts) for wish in WISHES] for facts in self._facts]
        self._met = np.clip(np.array(met, dtype=np.float64), LEAST, 1.0)
        self._held_out = np.array([key % _HELD_OUT_EVERY == 0 for key in catalogue.keys.tolist()])

    def ask(self, count: int, candidates: int, *, held_out: bool, seed: int) -> QuerySet:
        """Draw queries. A query's candidates are the route for which it was made, and others drawn at random.

        Args:
            count: query count.
            candidates: candidates per query.
            held_out: use the held-out wordings and routes instead of the training ones.
            seed: random seed.
        """
        random = np.random.default_rng([seed, held_out])
        pool = np.flatnonzero(self._held_out == held_out)
        queries, rows, relevance = [], [], []
        for _ in range(count):
            routes = random.choice(pool, candidates, replace=False)
            words, met = self._query(int(routes[0]), routes, held_out, random)
            order = random.permutation(candidates)
            queries.append(words)
            rows.append(routes[order])
            relevance.append(met[order])
        return QuerySet(queries, np.array(rows), np.array(relevance, dtype=np.float32))

    def _query(
        self, route: int, routes: NDArray[np.int64], held_out: bool, random: np.random.Generator
    ) -> tuple[str, NDArray[np.float64]]:
        fulfilled = np.flatnonzero(self._met[route] >= 0.6)
        wishes = random.permutation(fulfilled)[: random.integers(1, _MOST_WISHES + 1)]
        parts = [_pick(WISHES[w].held_out if held_out else WISHES[w].taught, random) for w in wishes]
        met = np.prod(self._met[np.ix_(routes, wishes)], axis=1)
        places = _places(self._facts[route])
        if places and (not parts or random.random() < _PLACE_SHARE):
            place = _pick(places[:2], random)
            parts.append(_pick(_PLACE_WORDINGS[held_out], random).format(place))
            met *= [1.0 if place in _places(self._facts[row]) else LEAST for row in routes]
        words = (", " if random.random() < 0.5 else " ").join(parts)
        return _pick(_FORMS, random).format(words), met


def _places(facts: Facts) -> list[str]:
    """Return the place, park and street names at the end of a route's summary."""
    return [name for name in str(facts["summary"]).partition(": ")[2].split(", ") if name]


def _pick(words: Sequence[str], random: np.random.Generator) -> str:
    return words[int(random.integers(len(words)))]
