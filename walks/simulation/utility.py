"""SIMULATED opinions: how much a person would like a route at a given place and time.

The utility is a sum of terms in logits. `rating = sigmoid(utility + noise)`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.routes.attributes import NAMES, RouteFacts
from walks.simulation.news import EFFECT, FADES_H, News
from walks.simulation.people import CHARACTERS, INTERESTS, People

RATING_NOISE = 0.4
LENGTH_TOLERANCE = 0.4  # in log km
FAR_FROM_FITTING = 2.5  # maximum cost of a wrong length
TEXT_OF_INTEREST = 0.8  # gain per standard deviation of the summary's nearness to the person's interest
TIRED = 0.9  # loss if the route was walked recently
SEEN = 0.3  # loss for each time that the route was shown recently
TURNS_BACK = 1.2  # gain for routes ahead and loss for routes behind, if a person hates to turn back
STRIDE_KM = 0.3  # distance after which a person fully has a direction
LATE = 2.0  # a punctual person's cost if the route ends LATE_KM away from an imminent appointment
LATE_KM = 0.5
SOON_H = 1.5


@dataclass(frozen=True)
class RouteTruth:
    """The simulated properties of R routes. Some are hidden from every model."""

    attributes: NDArray[np.float32]  # (R, F) standardised
    wording: NDArray[np.float32]  # (R, WORDINGS) leading dimensions of the summary embedding, standardised
    speaks_of: NDArray[np.float32]  # (R, INTERESTS) the summary's nearness to each interest, standardised
    start: NDArray[np.float64]  # (R, 2) x, y metres
    end: NDArray[np.float64]  # (R, 2) x, y metres
    cell: NDArray[np.int64]  # (R,) the start's cell
    log_km: NDArray[np.float32]
    charm: NDArray[np.float32]  # (R,) hidden quality that everybody likes
    character: NDArray[np.float32]  # (R, CHARACTERS) hidden, standardised


@dataclass(frozen=True)
class Moment:
    """The context for Q lists."""

    xy: NDArray[np.float64]  # (Q, 2) metres
    at_s: NDArray[np.float64]  # epoch seconds
    hour: NDArray[np.float32]  # local, 0 to 24
    series_hour: NDArray[np.int64]  # hours after the series' start
    off: NDArray[np.bool_]  # weekend or holiday
    temperature_c: NDArray[np.float32]
    raining: NDArray[np.float32]  # 0 or 1
    rain_ahead: NDArray[np.float32]  # 1 if it rains within two hours
    snowing: NDArray[np.float32]  # 0 or 1
    snow_day_h: NDArray[np.float32]  # hours of snow in the last day
    traffic: NDArray[np.float32]  # vehicles an hour
    minutes: NDArray[np.float32]  # free time
    wait_s: NDArray[np.float64]  # seconds until the next appointment
    next_xy: NDArray[np.float64]  # (Q, 2) metres: the next appointment's place
    came_from: NDArray[np.float64]  # (Q, 2) metres: the user's place half an hour ago

    def take(self, rows: NDArray[np.int64]) -> "Moment":
        """Return the moments for these lists."""
        return Moment(*(column[rows] for column in vars(self).values()))


def draw_truth(
    facts: RouteFacts,
    cell: NDArray[np.int64],
    wording: NDArray[np.float32],
    speaks_of: NDArray[np.float32],
    rng: np.random.Generator,
) -> RouteTruth:
    """Draw a hidden charm and character for every street and area. A route has the mean over its streets and areas.

    Args:
        facts: the attributes of R routes.
        cell: (R,) cell in which each route starts.
        wording: (R, WORDINGS) leading dimensions of the summary embeddings, on any scale.
        speaks_of: (R, INTERESTS) the summaries' nearness to each interest, on any scale.
        rng: random numbers.
    """
    hidden = []
    for metres in (facts.street_m, facts.area_m):
        hidden_values = rng.normal(0.0, 1.0, (metres.shape[1], 1 + CHARACTERS))
        hidden.append(np.asarray(metres @ hidden_values))
    total = 1000.0 * facts.column("length_km")[:, None]
    mean = _standardise((hidden[0] + hidden[1]) / total)
    return RouteTruth(
        attributes=_standardise(facts.normalised()).astype(np.float32),
        wording=_standardise(wording).astype(np.float32),
        speaks_of=_standardise(speaks_of).astype(np.float32),
        start=np.array([line[0] for line in facts.lines]),
        end=np.array([line[-1] for line in facts.lines]),
        cell=cell,
        log_km=np.log(facts.column("length_km")).astype(np.float32),
        charm=(0.5 * mean[:, 0]).astype(np.float32),
        character=mean[:, 1:].astype(np.float32),
    )


def utility(
    people: People,
    truth: RouteTruth,
    news: News,
    users: NDArray[np.int64],
    moment: Moment,
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the utility (Q, C) that candidates `rows` (Q, C) have for the `users` (Q,) at the moment (Q,)."""
    offered = np.concatenate([truth.attributes, truth.wording, truth.character, truth.speaks_of], axis=1)
    weights = [_mood(people, users, moment), people.wording[users], people.character[users]]
    weights.append(TEXT_OF_INTEREST * people.interest[users])
    likes = np.einsum("qcf,qf->qc", offered[rows], np.concatenate(weights, axis=1))
    likes += truth.charm[rows]
    likes += _heard(people, news, users, moment, truth.cell[rows])
    way = truth.start[rows] - moment.xy[:, None]
    away_km = np.hypot(way[..., 0], way[..., 1]) / 1000.0
    likes -= away_km / people.reach_km[users][:, None]
    likes += (TURNS_BACK * people.keeps_on[users])[:, None] * _ahead(moment, way, away_km)
    misfit = (truth.log_km[rows] - _wanted_log_km(people, users, moment)[:, None]) / LENGTH_TOLERANCE
    likes -= np.minimum(0.5 * misfit**2, FAR_FROM_FITTING)
    late = np.hypot(*np.moveaxis(truth.end[rows] - moment.next_xy[:, None], 2, 0)) / 1000.0 / LATE_KM
    soon = people.punctual[users] * (moment.wait_s < 86_400.0) * np.exp(-moment.wait_s / 3600.0 / SOON_H)
    likes -= LATE * soon[:, None] * np.minimum(late, 2.0)
    return np.asarray(likes, dtype=np.float32)


def _heard(
    people: People, news: News, users: NDArray[np.int64], moment: Moment, cell: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return how the newest news in each candidate's cell changes the utility, (Q, C)."""
    hour = moment.series_hour[:, None]
    number = news.newest[hour, cell]
    moves = (people.interest[users] @ EFFECT.T)[np.arange(len(users))[:, None], news.topic[number]]
    fades = np.exp(-news.age_h(hour, cell) / FADES_H)  # 0 if there is no news
    return np.asarray(people.heeds_news[users][:, None] * moves * fades)


def _ahead(moment: Moment, way: NDArray[np.float64], away_km: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each start (Q, C) lies in the user's direction: -1 to 1, and 0 if the user did not move."""
    came = moment.xy - moment.came_from
    came_km = np.hypot(*came.T) / 1000.0
    along = np.einsum("qcx,qx->qc", way, came) / 1e6
    cosine = along / np.maximum(came_km[:, None] * away_km, 1e-6)
    return np.asarray(cosine * np.minimum(came_km / STRIDE_KM, 1.0)[:, None])


def _mood(people: People, users: NDArray[np.int64], moment: Moment) -> NDArray[np.float32]:
    """Return the tastes (Q, F), adjusted for weather, traffic and the hour."""
    taste = people.taste[users].copy()

    def add(column: str, amount: NDArray[np.floating]) -> None:
        taste[:, NAMES.index(column)] += amount

    rain = np.maximum(moment.raining, 0.7 * moment.rain_ahead) * people.minds_rain[users]
    add("surface_unpaved", -0.6 * rain)
    add("park", -0.4 * rain)
    add("places_cafe", 0.5 * rain)
    add("places_culture", 0.5 * rain)
    slippery = np.minimum(moment.snow_day_h / 6.0, 1.0) * (moment.temperature_c < 2.0)
    add("stairs", -0.6 * slippery)
    add("surface_unpaved", -0.3 * slippery)
    add("park", 0.4 * moment.snowing)
    warm = np.clip((moment.temperature_c - 18.0) / 10.0, 0.0, 1.0)
    add("water", 0.5 * warm)
    add("park", 0.3 * warm)
    dark = ((moment.hour >= 21.5) | (moment.hour < 5.5)).astype(np.float32)
    add("park", -0.8 * dark)
    add("places_bar", 0.3 * dark)
    add("places_cafe", 0.3 * ((moment.hour >= 11) & (moment.hour < 14) & ~moment.off))
    add("places_sights", 0.3 * moment.off)
    jammed = np.clip((moment.traffic - 3000.0) / 2500.0, -1.0, 1.5)
    quiet = people.interest[users, list(INTERESTS).index("quiet")]
    add("major", -(0.15 + 1.2 * quiet) * jammed)
    return taste


def _wanted_log_km(people: People, users: NDArray[np.int64], moment: Moment) -> NDArray[np.float32]:
    """Return the best length in log km, (Q,).

    The person's preferred length is shorter in bad weather and after a long way to the start. The free time limits it.
    """
    rain = np.maximum(moment.raining, 0.7 * moment.rain_ahead) * people.minds_rain[users]
    foul = rain + 0.5 * moment.snowing + np.clip((5.0 - moment.temperature_c) / 20.0, 0, 1)
    came_km = np.hypot(*(moment.xy - moment.came_from).T) / 1000.0
    liked = np.log(people.length_km[users]) - 0.4 * foul - 0.3 * np.minimum(came_km, 1.0)
    allowed = np.log(np.maximum(moment.minutes / 60.0 * people.pace_kmh[users], 0.6))
    return np.asarray(np.minimum(liked, allowed), dtype=np.float32)


def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logistic function of `x`."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float32)


def _standardise(columns: NDArray[np.floating]) -> NDArray[np.float64]:
    columns = columns.astype(np.float64)
    spread = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0))
