"""SIMULATED opinions: how much a person would like a route, here and now.

The utility is a sum of written terms; its scale is that of a logit. `rating = sigmoid(utility + noise)`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.attributes import NAMES, RouteFacts
from walks.people import CHARACTERS, People

RATING_NOISE = 0.4
LENGTH_TOLERANCE = 0.4  # in log km
FAR_FROM_FITTING = 2.5  # the worst that a wrong length costs
TIRED = 0.9  # what a route walked lately loses
RAINY_MM = 0.1


@dataclass(frozen=True)
class RouteTruth:
    """What the simulation knows of R routes, some of it hidden from every model."""

    attributes: NDArray[np.float32]  # (R, F) standardised
    start: NDArray[np.float64]  # (R, 2) x, y metres
    log_km: NDArray[np.float32]
    charm: NDArray[np.float32]  # (R,) hidden quality that everybody sees
    character: NDArray[np.float32]  # (R, CHARACTERS) hidden, standardised


@dataclass(frozen=True)
class Moment:
    """Context of Q lists."""

    xy: NDArray[np.float64]  # (Q, 2) metres
    hour: NDArray[np.float32]  # local, 0 to 24
    weekday: NDArray[np.float32]  # 0 is Monday
    temperature_c: NDArray[np.float32]
    rain_mm: NDArray[np.float32]
    minutes: NDArray[np.float32]  # free time

    def take(self, rows: NDArray[np.int64]) -> "Moment":
        """The given lists."""
        return Moment(*(column[rows] for column in vars(self).values()))


def draw_truth(facts: RouteFacts, rng: np.random.Generator) -> RouteTruth:
    """Give every street and area a hidden charm and character; a route has the mean of those it passes."""
    hidden = []
    for metres in (facts.street_m, facts.area_m):
        drawn = rng.normal(0.0, 1.0, (metres.shape[1], 1 + CHARACTERS))
        hidden.append(np.asarray(metres @ drawn))
    total = 1000.0 * facts.column("length_km")[:, None]
    mean = _standardise((hidden[0] + hidden[1]) / total)
    return RouteTruth(
        attributes=_standardise(facts.normalised().astype(np.float64)).astype(np.float32),
        start=np.array([line[0] for line in facts.lines]),
        log_km=np.log(facts.column("length_km")).astype(np.float32),
        charm=(0.5 * mean[:, 0]).astype(np.float32),
        character=mean[:, 1:].astype(np.float32),
    )


def utility(
    people: People, truth: RouteTruth, who: NDArray[np.int64], moment: Moment, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Utility (Q, C) of candidates `rows` (Q, C) for the users `who` (Q,) at the moment (Q,)."""
    likes = np.einsum("qcf,qf->qc", truth.attributes[rows], _mood(people, who, moment))
    likes += np.einsum("qck,qk->qc", truth.character[rows], people.character[who])
    likes += truth.charm[rows]
    away_km = np.hypot(*np.moveaxis(truth.start[rows] - moment.xy[:, None], 2, 0)) / 1000.0
    likes -= away_km / people.reach_km[who][:, None]
    misfit = (truth.log_km[rows] - _wanted_log_km(people, who, moment)[:, None]) / LENGTH_TOLERANCE
    likes -= np.minimum(0.5 * misfit**2, FAR_FROM_FITTING)
    return np.asarray(likes, dtype=np.float32)


def _mood(people: People, who: NDArray[np.int64], moment: Moment) -> NDArray[np.float32]:
    """Tastes (Q, F), bent by weather and time of day."""
    taste = people.taste[who].copy()

    def add(column: str, amount: NDArray[np.float32]) -> None:
        taste[:, NAMES.index(column)] += amount

    rain = (moment.rain_mm > RAINY_MM) * people.minds_rain[who]
    add("surface_unpaved", -0.6 * rain)
    add("park", -0.4 * rain)
    add("places_cafe", 0.5 * rain)
    add("places_culture", 0.5 * rain)
    warm = np.clip((moment.temperature_c - 18.0) / 10.0, 0.0, 1.0)
    add("water", 0.5 * warm)
    add("park", 0.3 * warm)
    dark = ((moment.hour >= 21.5) | (moment.hour < 5.5)).astype(np.float32)
    add("park", -0.8 * dark)
    add("places_bar", 0.3 * dark)
    lunch = ((moment.hour >= 11) & (moment.hour < 14) & (moment.weekday < 5)).astype(np.float32)
    add("places_cafe", 0.3 * lunch)
    weekend = (moment.weekday >= 5).astype(np.float32)
    add("places_sights", 0.25 * weekend)
    rush = ((moment.hour >= 15) & (moment.hour < 18) & (moment.weekday < 5)).astype(np.float32)
    add("major", -0.3 * rush)
    return taste


def _wanted_log_km(people: People, who: NDArray[np.int64], moment: Moment) -> NDArray[np.float32]:
    """The length that suits: what the person likes, shorter in rain and cold, never more than time allows."""
    foul = (moment.rain_mm > RAINY_MM) * people.minds_rain[who] + np.clip(
        (5.0 - moment.temperature_c) / 20.0, 0, 1
    )
    liked = np.log(people.length_km[who]) - 0.4 * foul
    allowed = np.log(np.maximum(moment.minutes / 60.0 * people.pace_kmh[who], 0.6))
    return np.asarray(np.minimum(liked, allowed), dtype=np.float32)


def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logistic function."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float32)


def _standardise(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))
