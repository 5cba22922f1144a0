"""The service's own metrics, as Prometheus would scrape them."""

import re
import time
import urllib.request
from pathlib import Path

_URL = re.compile(r"http://\S+/metrics")
_LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(\{(?P<labels>.*)\})? (?P<value>\S+)")
_POLL_PERIOD_S = 0.5


def metrics_url(log: Path) -> str:
    """Return the metrics address that the service printed.

    Raises:
        RuntimeError: the service printed no address.
    """
    match = _URL.search(log.read_text(errors="replace"))
    if match is None:
        raise RuntimeError(f"the service did not print the address of its metrics in {log}")
    return match[0]


def total(text: str, name: str, label: str) -> float:
    """Return the sum over a series' samples whose labels contain ``label``, such as unit="ranker"."""
    return sum(
        float(line["value"])
        for line in map(_LINE.match, text.splitlines())
        if line is not None and line["name"] == name and label in (line["labels"] or "")
    )


def settled_total(
    url: str, names: tuple[str, ...], label: str, *, quiet_s: float, limit_s: float
) -> list[float]:
    """Return the totals once they have not changed for ``quiet_s``, since exporters lag behind the counters.

    Raises:
        RuntimeError: the totals still changed after ``limit_s``.
    """
    started_s = changed_s = time.monotonic()
    last: list[float] | None = None
    while (now_s := time.monotonic()) - started_s < limit_s:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        totals = [total(text, name, label) for name in names]
        if totals != last:
            last, changed_s = totals, now_s
        elif now_s - changed_s >= quiet_s:
            return totals
        time.sleep(_POLL_PERIOD_S)
    raise RuntimeError(f"{', '.join(names)} still change after {limit_s:.0f} s without load")
