"""Warnings about a sample of events, items or users: personal data, times, duplicates and bots."""

import re
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.datasets.files.names import words_of
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.profiles import Profile
from models.datasets.files.times import times_of
from models.datasets.time_format import TimeFormat

_PERSONAL_NAMES = {
    frozenset(words.split()): what
    for words, what in {
        "email": "e-mail addresses", "mail": "e-mail addresses", "phone": "telephone numbers",
        "mobile": "telephone numbers", "first name": "names of people", "last name": "names of people",
        "full name": "names of people", "surname": "names of people", "address": "addresses", "street": "addresses",
        "zip": "addresses", "postcode": "addresses", "ssn": "social security numbers", "birth": "dates of birth",
        "dob": "dates of birth", "birthday": "dates of birth", "iban": "bank accounts", "passport": "passports",
        "ip": "IP addresses", "gender": "gender", "religion": "religion", "ethnicity": "ethnicity",
    }.items()
}  # fmt: skip
_PERSONAL_VALUES = {
    r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$": "e-mail addresses",
    r"^(\d{1,3}\.){3}\d{1,3}$": "IP addresses",
    r"^\+\d[\d ()-]{7,}$": "telephone numbers",
    r"^\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}$": "card numbers",
}
_BOT_EVENTS, _BOT_RATIO = 500, 100
_SHOWN_BOTS = 3


def personal_data(profiles: Sequence[Profile], table: str) -> list[str]:
    """Return a warning for each column that looks like personal data."""
    return [
        f"{table}: column {profile.name} looks like personal data ({what}); it is left out unless you name it with "
        f"--column"
        for profile in profiles
        if (what := looks_personal(profile)) is not None
    ]


def looks_personal(profile: Profile) -> str | None:
    """Return the kind of personal data that a column seems to have, or None."""
    words = set(words_of(profile.name))
    for names, what in _PERSONAL_NAMES.items():
        if names <= words:
            return what
    if profile.texts is None or not profile.filled:
        return None
    some = profile.texts.drop_null().slice(0, 1000)
    for pattern, what in _PERSONAL_VALUES.items():
        if (pc.mean(pc.match_substring_regex(some, pattern).cast(pa.float64())).as_py() or 0.0) > 0.5:
            return what
    return None


def event_warnings(
    sample: pa.Table, profiles: Mapping[str, Profile], columns: Mapping[str, str], form: TimeFormat
) -> list[str]:
    """Return the warnings about the events of a sample."""
    found = []
    moment = profiles[columns["time"]]
    if moment.naive == 1.0:
        zone = form.zone or "UTC"
        found.append(
            f"column {moment.name}: its times have no time zone; they are read as {zone} (--time-zone)"
        )
    elif moment.naive > 0:
        found.append(
            f"column {moment.name}: {moment.naive:.0%} of its times have no time zone, the others have one; those "
            f"without are read as {form.zone} (--time-zone)"
        )
    user, item = (profiles[columns[role]].texts for role in ("user", "item"))
    assert user is not None
    assert item is not None
    part = Part(
        "", 1, "row", pa.RecordBatch.from_arrays([_one(sample.column(moment.name))], names=[moment.name])
    )
    at_s, good = times_of(part, moment.name, form.model_copy(update={"zone": form.zone or "UTC"}), BadRows(skip=True),
                          now_s=1e12)  # fmt: skip
    late = int((good & (at_s > time.time())).sum())
    if late:
        found.append(
            f"column {moment.name}: {late:,} of {len(at_s):,} times are in the future; build refuses such rows"
        )
    early = int((good & (at_s < 86_400 * 365)).sum())
    if early:
        found.append(
            f"column {moment.name}: {early:,} of {len(at_s):,} times are before 1971, which often means missing"
        )
    if good.any() and np.all(at_s[good] % 86_400 == 0):
        found.append(f"column {moment.name}: all times are at midnight; the events of a day are one list")
    codes = [np.asarray(ids.dictionary_encode().indices.fill_null(-1)) for ids in (user, item)]
    rows = np.rec.fromarrays([*codes, at_s])
    repeated = len(rows) - len(np.unique(rows))
    if repeated:
        found.append(
            f"{repeated:,} of {len(rows):,} events have the user, item and time of another one; they are merged"
        )
    return [*found, *_bots(user)]


def _one(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def _bots(user: pa.Array) -> list[str]:
    counts = pc.value_counts(user.drop_null())
    events = np.asarray(counts.field("counts"))
    if not len(events):
        return []
    many = np.flatnonzero((events > _BOT_EVENTS) & (events > _BOT_RATIO * np.median(events)))
    many = many[np.argsort(-events[many])]
    if not len(many):
        return []
    ids = counts.field("values").take(pa.array(many[:_SHOWN_BOTS])).to_pylist()
    shown = [re.sub(r"[^ -~]", "?", one)[:40] for one in ids]
    names = ", ".join(f"{one} ({events[index]:,})" for one, index in zip(shown, many, strict=False))
    return [
        f"{len(many):,} users have over {_BOT_RATIO} times the median of {np.median(events):g} events and look like "
        f"bots: {names}; leave them out if they are no customers"
    ]
