import numpy as np
import pytest

from models.features.overlay import Overlay
from tests.walks.conftest import Play
from walks.conditions import conditions
from walks.features import FEATURES, NEWS_EMBEDDING, NO_NEWS_H


@pytest.fixture(scope="module")
def vectors(play: Play) -> np.ndarray:
    return np.random.default_rng(1).random((len(play.news_texts), NEWS_EMBEDDING), dtype=np.float32)


@pytest.fixture(scope="module")
def overlay(play: Play, vectors: np.ndarray) -> Overlay:
    return conditions(play.weather, play.news, vectors)


def test_every_defined_feature_is_there_for_every_hour(play: Play, overlay: Overlay) -> None:
    overlay.check(FEATURES)
    assert len(overlay.times_s) == play.weather.hours
    assert overlay.times_s[0] == play.weather.start_s


def test_the_forecast_is_the_weather_that_came(overlay: Overlay) -> None:
    for name in ("temperature_c", "rain_mm", "snowing"):
        came, told = overlay.globals[name], overlay.globals[f"forecast_{name}"]
        assert np.array_equal(told[:-3, 0], came[1:-2])
        assert np.array_equal(told[:-3, 2], came[3:])


def test_a_visit_reads_what_the_simulation_acted_on(
    play: Play, overlay: Overlay, vectors: np.ndarray
) -> None:
    moment = play.visits.moment
    snapshot = overlay.snapshots(moment.at_s)
    assert np.array_equal(snapshot, moment.series_hour)
    features = {feature.column: feature for feature in FEATURES.features}
    traffic = overlay.column(features["global.traffic"], snapshot, moment.at_s, None)
    assert np.array_equal(traffic, moment.traffic)
    cell = np.full(len(snapshot), play.truth.cell[0])
    news = overlay.column(features["cell.news"], snapshot, moment.at_s, cell)
    age = overlay.column(features["cell.news_age_h"], snapshot, moment.at_s, cell)
    number = play.news.newest[snapshot, cell]
    assert np.array_equal(news[number >= 0], vectors[number[number >= 0]])
    assert (news[number < 0] == 0).all()
    assert (age[number < 0] == NO_NEWS_H).all()
    assert age[number >= 0] == pytest.approx((snapshot - play.news.hour[number])[number >= 0])
