"""A fake of ``ray.util.metrics``: series as Prometheus would scrape them, by exported name and labels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Exported:
    """Every series' present value. Labels are sorted and written as in PromQL: ``pool="a", unit="b"``."""

    series: dict[str, dict[str, float]] = field(default_factory=dict)
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the only series that has at least these labels."""
        [value] = [
            value for text, value in self.series[name].items() if set(_pairs(labels)) <= set(text.split(", "))
        ]
        return value

    def values(self, name: str, label: str) -> dict[str, float]:
        """Return the values of the series ``name`` by one of their labels. Empty if there is no series yet."""
        return {
            dict(pair.split("=", 1) for pair in text.split(", "))[label].strip('"'): value
            for text, value in self.series.get(name, {}).items()
        }


def _pairs(labels: Mapping[str, str]) -> list[str]:
    return [f'{name}="{value}"' for name, value in sorted(labels.items())]


def _metric(exported: Exported, *, is_counter: bool) -> Any:
    class Metric:
        def __init__(self, name: str, description: str = "", tag_keys: Sequence[str] = ()) -> None:
            assert description
            self._name, self._keys, self._default = name, tuple(tag_keys), dict[str, str]()
            exported.labels[name] = self._keys

        def set_default_tags(self, tags: Mapping[str, str]) -> None:
            self._default = dict(tags)

        def _series(self, tags: Mapping[str, str] | None) -> tuple[dict[str, float], str]:
            labels = self._default | dict(tags or {})
            assert set(labels) == set(self._keys), "Ray refuses other labels than those declared"
            return exported.series.setdefault(self._name, {}), ", ".join(_pairs(labels))

    class Counter(Metric):
        def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
            assert value > 0, "Ray refuses to count nothing"
            series, labels = self._series(tags)
            series[labels] = series.get(labels, 0.0) + value

    class Gauge(Metric):
        def set(self, value: float, tags: Mapping[str, str] | None = None) -> None:
            series, labels = self._series(tags)
            series[labels] = value

    return Counter if is_counter else Gauge


@contextmanager
def exported_metrics() -> Iterator[Exported]:
    """Replace Ray's counters and gauges while the block runs."""
    exported = Exported()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.util.metrics.Counter", _metric(exported, is_counter=True))
        patch.setattr("ray.util.metrics.Gauge", _metric(exported, is_counter=False))
        yield exported
