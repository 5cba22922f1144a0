"""The overlay: hourly values for everybody (weather, forecast, traffic, holidays) and for each cell (news)."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.overlay import Overlay
from walks.data.features import FEATURES, FORECAST_H, NEWS_EMBEDDING, NO_NEWS_H
from walks.simulation.news import News
from walks.simulation.weather import HOUR_S, Weather


def conditions(weather: Weather, news: News, embedding: NDArray[np.float32]) -> Overlay:
    """Return one snapshot per hour. `embedding` (K, NEWS_EMBEDDING) holds the news vectors.

    The forecast is the real series for the next hours, so it is never wrong.
    """
    embeddings = np.concatenate(
        [embedding, np.zeros((1, NEWS_EMBEDDING), dtype=np.float32)]
    )  # index -1: no news
    hours, cells = news.newest.shape
    age_h = news.age_h(np.arange(hours)[:, None], np.arange(cells))
    return Overlay(
        times_s=weather.start_s + HOUR_S * np.arange(weather.hours, dtype=np.float64),
        globals={
            "temperature_c": weather.temperature_c,
            "rain_mm": weather.rain_mm,
            "snowing": weather.snowing,
            "snow_day_h": weather.sum_over_last(weather.snowing, 24),
            "traffic": weather.traffic,
            "holiday": weather.holiday.astype(np.float32),
            "forecast_temperature_c": weather.ahead(weather.temperature_c, FORECAST_H),
            "forecast_rain_mm": weather.ahead(weather.rain_mm, FORECAST_H),
            "forecast_snowing": weather.ahead(weather.snowing, FORECAST_H),
        },
        cells={
            "news": embeddings[news.newest],
            "news_age_h": np.minimum(age_h, np.float32(NO_NEWS_H)),
        },
    )


def write_conditions(root: Path, weather: Weather, news: News, embedding: NDArray[np.float32]) -> None:
    """Write the overlay atomically."""
    conditions(weather, news, embedding).write(root, FEATURES)


def write_news(path: Path, weather: Weather, news: News, texts: Sequence[str]) -> None:
    """Write the news for people to read: one JSON line per piece, times in epoch seconds."""
    spans = (weather.start_s + HOUR_S * hours for hours in (news.hour, news.until))
    rows = zip(news.cell.tolist(), *(span.tolist() for span in spans), texts, strict=True)
    lines = [
        json.dumps({"cell": cell, "from_s": since, "until_s": until, "text": text}, ensure_ascii=False)
        for cell, since, until, text in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
