"""SIMULATED people: no data set contains real ratings of walks, so users are drawn from a model.

A person has:

- interests, a mixture over six, which weigh route attributes, texts and the news
- hidden tastes for descriptions' wording and streets' character, unrelated to any attribute
- a preferred length, a pace and a reach
- opinions on rain, stairs, news and turning back

A model receives only a noisy declared profile.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.routes.attributes import NAMES

INTERESTS = {
    "green": "A green walk through parks and gardens, under old trees.",
    "water": "A walk by the sea, along the shore and the harbour.",
    "culture": "Museums, theatres, monuments, art and history.",
    "food": "Cafés, restaurants, bars and food from the market.",
    "quiet": "Quiet streets and calm places, away from traffic and crowds.",
    "exercise": "A brisk walk for exercise, with stairs and long straight ways.",
}
"""The interests, each with a sentence whose embedding shows which texts are about the interest."""

CHARACTERS = 6
"""How many hidden dimensions a street's character has."""

WORDINGS = 8
"""Number of leading dimensions in the summary embeddings for which each person has a taste."""

_WEIGHTS: dict[str, dict[str, float]] = {
    "green": {"park": 1.0, "trees": 0.5, "surface_unpaved": 0.4, "major": -0.5},
    "water": {"water": 1.2, "roundness": 0.2, "signals": -0.2},
    "culture": {"places_culture": 0.7, "places_sights": 0.8, "places_worship": 0.3, "surface_stone": 0.3},
    "food": {"places_cafe": 0.6, "places_restaurant": 0.5, "places_bar": 0.4, "places_shop": 0.2},
    "quiet": {"major": -1.0, "signals": -0.6, "foot_only": 0.5, "places_shop": -0.3},
    "exercise": {"stairs": 0.5, "straightness": 0.3, "length_km": 0.5, "turns_per_km": -0.3},
}
PROFILE = (
    *(f"declares_{name}" for name in INTERESTS),
    "pace",
    "preferred_length",
    "avoids_stairs",
    "avoids_rain",
)
"""The declared profile's columns.

Interests are 0 or 1, pace is in units of 6 km/h, preferred length in units of 6 km, and the last two are 0 or 1.
"""


@dataclass(frozen=True)
class People:
    """U simulated users."""

    interest: NDArray[np.float32]  # (U, len(INTERESTS)) shares that sum to 1
    taste: NDArray[np.float32]  # (U, F) weights on standardised attributes
    wording: NDArray[np.float32]  # (U, WORDINGS) weights on the summary embeddings' leading dimensions
    character: NDArray[np.float32]  # (U, CHARACTERS) weights on streets' hidden character
    home: NDArray[np.float64]  # (U, 2) x, y metres
    work: NDArray[np.float64]  # (U, 2) x, y metres
    length_km: NDArray[np.float32]
    pace_kmh: NDArray[np.float32]
    reach_km: NDArray[np.float32]  # distance to a start that costs one unit of utility
    minds_rain: NDArray[np.float32]  # 0 to 1
    minds_stairs: NDArray[np.float32]  # 0 to 1
    heeds_news: NDArray[np.float32]  # 0.5 to 2.5: factor on the effect of news
    keeps_on: NDArray[np.float32]  # 0 to 1: dislikes turning back
    punctual: NDArray[np.float32]  # 0 to 1: wants to end near the next appointment
    profile: NDArray[np.float32]  # (U, len(PROFILE)) the declared profile

    def __len__(self) -> int:
        return len(self.length_km)

    def first(self, count: int) -> "People":
        """Return the first `count` users."""
        return People(*(column[:count] for column in vars(self).values()))


def draw_people(count: int, corners: NDArray[np.float64], rng: np.random.Generator) -> People:
    """Draw users who live inside the box `corners` ((2, 2) x, y metres: low corner, high corner)."""
    weights = np.array(
        [[interest_weights.get(column, 0.0) for column in NAMES] for interest_weights in _WEIGHTS.values()]
    )
    interest = rng.dirichlet(np.full(len(INTERESTS), 0.5), count)
    taste = 1.2 * interest @ weights + rng.normal(0.0, 0.12, (count, len(NAMES)))
    minds_stairs = (rng.random(count) < 0.3) * rng.uniform(0.5, 1.0, count)
    taste[:, NAMES.index("stairs")] -= 0.8 * minds_stairs
    length_km = np.clip(np.exp(rng.normal(np.log(2.0), 0.4, count)), 0.8, 6.0)
    pace = rng.normal(4.8, 0.5, count).clip(3.5, 6.5)
    minds_rain = rng.beta(2.0, 2.0, count)
    declared = (interest > 0.22) ^ (rng.random(interest.shape) < 0.07)
    profile = np.column_stack(
        [
            declared,
            pace / 6.0,
            length_km * np.exp(rng.normal(0.0, 0.15, count)) / 6.0,
            (minds_stairs > 0) ^ (rng.random(count) < 0.05),
            (minds_rain > 0.5) ^ (rng.random(count) < 0.1),
        ]
    )
    return People(
        interest=interest.astype(np.float32),
        taste=taste.astype(np.float32),
        wording=rng.normal(0.0, 0.22, (count, WORDINGS)).astype(np.float32),
        character=rng.normal(0.0, 0.2, (count, CHARACTERS)).astype(np.float32),
        home=rng.uniform(corners[0], corners[1], (count, 2)),
        work=rng.uniform(corners[0], corners[1], (count, 2)),
        length_km=length_km.astype(np.float32),
        pace_kmh=pace.astype(np.float32),
        reach_km=rng.uniform(0.25, 0.7, count).astype(np.float32),
        minds_rain=minds_rain.astype(np.float32),
        minds_stairs=minds_stairs.astype(np.float32),
        heeds_news=rng.uniform(0.5, 2.5, count).astype(np.float32),
        keeps_on=rng.random(count).astype(np.float32),
        punctual=rng.random(count).astype(np.float32),
        profile=profile.astype(np.float32),
    )
