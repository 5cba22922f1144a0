"""SIMULATED people: no data set holds real ratings of walks, so users are drawn from a written model.

A person has interests (a mixture over six), which weigh the attributes of routes; a hidden taste for the
character of streets, which no attribute shows; a length, a pace and a reach; and opinions on rain and stairs.
Of this only a noisy declared profile is ever given to a model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.attributes import NAMES

INTERESTS = ("green", "water", "culture", "food", "quiet", "exercise")
CHARACTERS = 6
"""Number of hidden dimensions of a street's character."""

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
"""Columns of the declared profile: interests 0 or 1, pace in 6 km/h, preferred length in 6 km, two 0 or 1."""


@dataclass(frozen=True)
class People:
    """U simulated users."""

    taste: NDArray[np.float32]  # (U, F) weights on standardised attributes
    character: NDArray[np.float32]  # (U, CHARACTERS) weights on the hidden character of streets
    home: NDArray[np.float64]  # (U, 2) x, y metres
    work: NDArray[np.float64]  # (U, 2) x, y metres
    length_km: NDArray[np.float32]
    pace_kmh: NDArray[np.float32]
    reach_km: NDArray[np.float32]  # how far to a start is far
    minds_rain: NDArray[np.float32]  # 0 to 1
    minds_stairs: NDArray[np.float32]  # 0 to 1
    profile: NDArray[np.float32]  # (U, len(PROFILE)) what they declare

    def __len__(self) -> int:
        return len(self.length_km)


def draw_people(count: int, corners: NDArray[np.float64], rng: np.random.Generator) -> People:
    """Draw users living inside the box `corners` ((2, 2) x, y metres: low, high)."""
    weights = np.array([[_WEIGHTS[name].get(column, 0.0) for column in NAMES] for name in INTERESTS])
    interest = rng.dirichlet(np.full(len(INTERESTS), 0.5), count)
    taste = 2.0 * interest @ weights + rng.normal(0.0, 0.12, (count, len(NAMES)))
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
        taste=taste.astype(np.float32),
        character=rng.normal(0.0, 0.28, (count, CHARACTERS)).astype(np.float32),
        home=rng.uniform(corners[0], corners[1], (count, 2)),
        work=rng.uniform(corners[0], corners[1], (count, 2)),
        length_km=length_km.astype(np.float32),
        pace_kmh=pace.astype(np.float32),
        reach_km=rng.uniform(0.25, 0.7, count).astype(np.float32),
        minds_rain=minds_rain.astype(np.float32),
        minds_stairs=minds_stairs.astype(np.float32),
        profile=profile.astype(np.float32),
    )
