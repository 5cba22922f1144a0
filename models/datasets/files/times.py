"""Columns of a part as times. Each value that does not fit is reported with its row."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.datasets.files.values import parsed_numbers, texts_of
from models.datasets.time_format import TimeFormat
from models.errors import ArtifactError

ZONED = r"(?i)(Z|[+-]\d\d:?\d\d)\s*$"
FUTURE_S = 86_400.0
"""Times may be this much later than now, because clocks differ."""
EARLIEST_S = -2_208_988_800.0  # 1900
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_BAD_TIME = "correct the file, or describe its times under training.events.time"


def times_of(
    part: Part, column: str, form: TimeFormat, bad: BadRows, *, now_s: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column as epoch seconds, and a mask of the good rows.

    Raises:
        ArtifactError: a time has no time zone, and ``form`` has none, or bad rows are not skipped.
    """
    values = part.data.column(column)
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        seconds = (
            np.asarray(values.cast(pa.float64(), safe=False).fill_null(np.nan), dtype=np.float64)
            * _SECONDS[form.unit]
        )
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = _of_timestamps(part, column, values, form)
    else:
        seconds = _of_texts(part, column, form, bad)
    finite = np.isfinite(seconds)
    bad.report(part, ~finite, column, "must be a time", _BAD_TIME, values)
    seconds = np.where(finite, seconds, 0.0)
    late = finite & (seconds > (time.time() if now_s is None else now_s) + FUTURE_S)
    bad.report(part, late, column, "must not be in the future", _BAD_TIME, values)
    if late.any():
        bad.until_s = min(bad.until_s, float(seconds[late].min()) - FUTURE_S)
    early = finite & (seconds < EARLIEST_S)
    bad.report(part, early, column, "must not be before 1900", _BAD_TIME, values)
    return seconds, finite & ~late & ~early


def zone_of(name: str) -> str:
    """Return the name of a time zone, checked.

    Raises:
        ArtifactError: there is no such zone.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ArtifactError(
            f"training.events.time.zone: unknown time zone, got {name!r}; name one such as UTC or Europe/Helsinki"
        ) from None
    return name


def _of_timestamps(part: Part, column: str, values: pa.Array, form: TimeFormat) -> NDArray[np.float64]:
    if pa.types.is_date(values.type) or values.type.tz is None:
        _expect_zone(part, column, form, np.asarray(values.is_valid()), values)
        values = values.cast(pa.timestamp("us"), safe=False)
        values = pc.assume_timezone(
            values, zone_of(form.zone or "UTC"), ambiguous="earliest", nonexistent="earliest"
        )
    micros = values.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    return np.where(np.asarray(values.is_valid()), np.asarray(micros.fill_null(0)) / 1e6, np.nan)


def _expect_zone(
    part: Part, column: str, form: TimeFormat, naive: NDArray[np.bool_], values: pa.Array
) -> None:
    if form.zone is None and naive.any():
        row = int(np.flatnonzero(naive)[0])
        raise ArtifactError(
            f"{part.where(row)}: column {column} must have a time zone, got {values[row].as_py()!s}; set "
            f"training.events.time.zone, such as UTC or Europe/Helsinki"
        )


def _of_texts(part: Part, column: str, form: TimeFormat, bad: BadRows) -> NDArray[np.float64]:
    texts = pc.utf8_trim_whitespace(texts_of(part, column, bad))
    if form.pattern is not None:
        return _of_pattern(part, column, texts, form)
    numeric = np.asarray(pc.match_substring_regex(texts, r"^-?\d+(\.\d+)?$").fill_null(False))
    zoned = np.asarray(pc.match_substring_regex(texts, ZONED).fill_null(False))
    given = np.asarray(pc.greater(pc.binary_length(texts), 0).fill_null(False))
    naive = given & ~numeric & ~zoned
    seconds = np.full(len(texts), np.nan)
    if numeric.any():
        seconds[numeric] = parsed_numbers(texts.filter(pa.array(numeric))) * _SECONDS[form.unit]
    for rows, zone in ((zoned, None), (naive, form.zone)):
        if rows.any():
            some = texts.filter(pa.array(rows))
            parsed = _iso(some, zone)
            if zone is None and rows is naive:
                readable = rows.copy()
                readable[rows] = np.isfinite(parsed)
                _expect_zone(part, column, form, readable, texts)
            seconds[rows] = parsed
    return seconds


def _iso(texts: pa.Array, zone: str | None) -> NDArray[np.float64]:
    """Return epoch seconds of ISO times. Times without a zone are read in ``zone``, or in UTC if it is None."""
    zoned = len(texts) and bool(np.asarray(pc.match_substring_regex(texts.slice(0, 1), ZONED))[0])
    try:
        parsed = texts.cast(pa.timestamp("us", "UTC") if zoned else pa.timestamp("us"))
        if not zoned:
            parsed = pc.assume_timezone(
                parsed, zone_of(zone or "UTC"), ambiguous="earliest", nonexistent="earliest"
            )
        return np.asarray(parsed.cast(pa.int64())) / 1e6
    except pa.ArrowInvalid:
        local = ZoneInfo(zone_of(zone or "UTC"))
        return np.array([_iso_seconds(text, local) for text in texts.to_pylist()])


def _iso_seconds(text: str, zone: ZoneInfo) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        return float("nan")


def _of_pattern(part: Part, column: str, texts: pa.Array, form: TimeFormat) -> NDArray[np.float64]:
    assert form.pattern is not None
    has_zone = "%z" in form.pattern
    try:
        parsed = pc.strptime(texts, format=form.pattern, unit="us", error_is_null=True)
    except pa.ArrowInvalid as error:
        raise ArtifactError(
            f"training.events.time.pattern: cannot be used ({error}), got {form.pattern!r}; write it as for strptime"
        ) from error
    if parsed.type.tz is None and not has_zone:
        _expect_zone(part, column, form, np.asarray(parsed.is_valid()), texts)
        parsed = pc.assume_timezone(
            parsed, zone_of(form.zone or "UTC"), ambiguous="earliest", nonexistent="earliest"
        )
    micros = np.asarray(parsed.cast(pa.int64()).fill_null(0)) / 1e6
    return np.where(np.asarray(parsed.is_valid()), micros, np.nan)
