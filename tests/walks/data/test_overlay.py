import numpy as np
import pytest

from models.features.overlay import Overlay
from models.features.overlay_columns import OverlayColumns
from tests.walks.conftest import Play
from walks.data.features import FEATURES, NEWS_EMBEDDING, NO_NEWS_H
from walks.data.overlay import conditions


@pytest.fixture(scope="module")
def vectors(play: Play) -> np.ndarray:
    return np.random.default_rng(1).random((len(play.news_texts), NEWS_EMBEDDING), dtype=np.float32)


@pytest.fixture(scope="module")
def overlay(play: Play, vectors: np.ndarray) -> Overlay:
    return conditions(play.weather, play.news, vectors)


def test_overlay_has_every_defined_feature_for_every_hour(play: Play, overlay: Overlay) -> None:
    overlay.check(FEATURES)
    assert len(overlay.times_s) == play.weather.hours
    assert overlay.times_s[0] == play.weather.start_s


def test_forecast_equals_the_later_weather(overlay: Overlay) -> None:
    for name in ("temperature_c", "rain_mm", "snowing"):
        came, forecast = overlay.globals[name], overlay.globals[f"forecast_{name}"]
        assert np.array_equal(forecast[:-3, 0], came[1:-2])
        assert np.array_equal(forecast[:-3, 2], came[3:])


def test_visit_reads_the_same_conditions_as_the_simulation(
    play: Play, overlay: Overlay, vectors: np.ndarray
) -> None:
    moment = play.visits.moment
    hour = moment.series_hour
    overlaid = OverlayColumns(overlay, FEATURES.features)
    moments = overlaid.at(moment.at_s)
    columns = overlaid.of_requests(moments)
    assert np.array_equal(columns["global.traffic"], moment.traffic)
    assert np.array_equal(columns["global.snow_day_h"], moment.snow_day_h)
    cell = np.full(len(hour), play.truth.cell[0])
    one_each = np.ones(len(hour), dtype=np.int64)
    heard = overlaid.of_candidates(["cell.news", "cell.news_age_h"], moments, cell, one_each)
    number = play.news.newest[hour, cell]
    assert np.array_equal(heard["cell.news"][number >= 0], vectors[number[number >= 0]])
    assert (heard["cell.news"][number < 0] == 0).all()
    age_h = heard["cell.news_age_h"]
    assert (age_h[number < 0] == NO_NEWS_H).all()
    assert age_h[number >= 0] == pytest.approx((hour - play.news.hour[number])[number >= 0])
