"""Understand the files: roles of columns, time format, questions that are open, and warnings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from cli.new.columns import IMPRESSIONS, TABLES, Choice
from cli.new.columns_asked import column_questions, time_format
from cli.new.found import Found, Question
from cli.new.impressions import Shown, flat_sample, understand_shown
from models.datasets.config import EventColumns
from models.datasets.files.attribute_roles import attributes_of, guess_attributes
from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import Profile, profile_of, sample_of
from models.datasets.files.roles import EVENT_ROLES, LEFT_OUT, Guess, guess_events, unsure
from models.datasets.files.tables import open_table
from models.datasets.files.time_guesses import fits_pattern
from models.datasets.files.warnings import event_warnings, looks_personal, personal_data
from models.datasets.time_format import TimeFormat
from models.errors import ArtifactError


def understand(places: Mapping[str, str | None], choice: Choice) -> Found:
    """Read schemas and samples.

    Args:
        places: locations of events, impressions, items and users.
        choice: what the user said.

    Raises:
        ArtifactError: a file cannot be read, or the user named something that does not exist.
    """
    locations = {name: _absolute(place) for name, place in places.items() if place}
    named = {"events": [*choice.events], IMPRESSIONS: [*choice.impressions]}
    named |= {table: [*roles] for table, roles in choice.attributes.items()}
    for table, roles in named.items():
        if roles and table not in locations:
            prefix = "" if table == "events" else f"{table}."
            raise ArtifactError(
                f"--column {prefix}{roles[0]}: there is no file of {table}; add --{table} FILE"
            )
    bad, item = BadRows(skip=choice.skip_bad), None
    samples = {name: sample_of(open_table(place), bad) for name, place in locations.items()}
    if IMPRESSIONS in samples:
        samples[IMPRESSIONS], item = flat_sample(samples[IMPRESSIONS], choice)
    profiles = {
        table: [profile_of(name, sample.column(name)) for name in sample.column_names]
        for table, sample in samples.items()
    }
    if choice.pattern is not None:
        for table in ("events", IMPRESSIONS):
            profiles[table] = [_with_pattern(p, choice.pattern) for p in profiles.get(table, [])]
    warnings = [text for table, many in profiles.items() for text in personal_data(many, table)]
    found = Found(locations, choice, {}, warnings=warnings)
    if "events" in locations:
        found = _with_events(found, samples["events"], profiles["events"])
    if IMPRESSIONS in locations:
        shown = understand_shown(samples[IMPRESSIONS], profiles[IMPRESSIONS], choice, item)
        found = _with_impressions(found, shown, profiles[IMPRESSIONS])
    for table in TABLES:
        if table in locations:
            found = _with_attributes(found, table, profiles[table])
    unknown = sorted(set(choice.kinds) - set(found.kinds))
    if unknown and found.has_lists and not found.open_questions:
        raise ArtifactError(
            f"--kind {unknown[0]}: no event of the sample has this kind; name one of "
            f"{', '.join(found.kinds) or 'none'}"
        )
    return found


def _with_events(found: Found, sample: pa.Table, profiles: list[Profile]) -> Found:
    choice = found.choice
    guesses = guess_events(profiles, choice.events)
    role_of = {guess.role: guess for guess in guesses if guess.role != LEFT_OUT}
    by_name = {profile.name: profile for profile in profiles}
    questions = column_questions("events", guesses, profiles)
    time, asked = time_format("events", role_of.get("time"), by_name, choice)
    questions += asked
    found = replace(
        found,
        guesses={**found.guesses, "events": guesses},
        time=time,
        open_questions=(*found.open_questions, *questions),
    )
    if unsure(guesses):
        return found
    named = {role: role_of[role].column for role in EVENT_ROLES if role in role_of}
    columns = EventColumns.model_validate(named)
    kinds: tuple[str, ...] = ()
    if columns.kind is not None:
        kinds = tuple(sorted(set(filter(None, (by_name[columns.kind].texts or pa.array([])).to_pylist()))))
    found = replace(
        found, columns=columns, kinds=kinds, items_seen=max(found.items_seen, by_name[columns.item].distinct)
    )
    if questions:
        return found
    warnings = event_warnings(sample, by_name, named, time)
    repeats = _repeats(by_name[columns.user], by_name[columns.item])
    return replace(found, warnings=[*found.warnings, *warnings], repeats=repeats)


def _with_impressions(found: Found, shown: Shown, profiles: list[Profile]) -> Found:
    items = found.items_seen
    if shown.config is not None:
        items = max(items, next(p.distinct for p in profiles if p.name == shown.config.item))
    return replace(
        found,
        guesses={**found.guesses, IMPRESSIONS: shown.guesses},
        impressions=shown.config,
        kinds=tuple(dict.fromkeys((*found.kinds, *shown.kinds))),
        items_seen=items,
        warnings=[*found.warnings, *shown.warnings],
        open_questions=(*found.open_questions, *shown.questions),
    )


def _with_attributes(found: Found, table: str, profiles: list[Profile]) -> Found:
    choice = found.choice
    named = choice.attributes.get(table, {})
    if "popularity" in named and found.has_lists:
        raise ArtifactError(
            f"--column {table}.popularity={named['popularity'][0]}: is only for items without events, which tell what "
            f"is popular; name it as a number"
        )
    roles = guess_attributes(profiles, table, _key(found, table), named)
    roles = _without_personal(roles, profiles)
    found = replace(found, guesses={**found.guesses, table: roles})
    if unsure(roles, ("id",)):
        ids = [guess for guess in roles if guess.role == "id"]
        likely = tuple(guess.column for guess in ids)
        because = f"; the likeliest is {ids[0].column} ({ids[0].reason})" if ids else ""
        question = Question(
            f"column {table}.id",
            f"{table}: no column is surely the id{because}",
            likely or tuple(p.name for p in profiles if p.is_id),
            f"name it with --column {table}.id=NAME",
        )
        return replace(found, open_questions=(*found.open_questions, question))
    embed = choice.embed if table == "items" else None
    attributes = attributes_of(roles, profiles, table, embed=embed)
    seen = next(p.distinct for p in profiles if p.name == attributes.id) if table == "items" else 0
    return replace(
        found,
        attributes={**found.attributes, table: attributes},
        items_seen=found.items_seen if found.has_lists else seen or found.items_seen,
    )


def _key(found: Found, table: str) -> str:
    """Return the column of the events or impressions with the ids of a table."""
    role = table.rstrip("s")
    guesses = [g for name in ("events", IMPRESSIONS) for g in found.guesses.get(name, ()) if g.role == role]
    return guesses[0].column if guesses else ""


def _with_pattern(profile: Profile, pattern: str) -> Profile:
    if profile.texts is None or profile.numbers is not None or profile.type.startswith(("timestamp", "date")):
        return profile
    return replace(
        profile,
        times=(TimeFormat(pattern=pattern),) if fits_pattern(profile.texts, pattern) else profile.times,
    )


def _without_personal(guesses: list[Guess], profiles: list[Profile]) -> list[Guess]:
    """Leave out columns that look like personal data, unless the user named them."""
    personal = {profile.name for profile in profiles if looks_personal(profile) is not None}
    return [
        replace(guess, role=LEFT_OUT, reason="looks like personal data")
        if guess.column in personal and guess.role != "id" and guess.reason != "named by --column"
        else guess
        for guess in guesses
    ]


def _repeats(user: Profile, item: Profile) -> float:
    assert user.texts is not None
    assert item.texts is not None
    codes = [
        np.asarray(ids.dictionary_encode().indices.fill_null(-1), dtype=np.int64)
        for ids in (user.texts, item.texts)
    ]
    pairs = codes[0] * (int(codes[1].max(initial=0)) + 1) + codes[1]
    return 1.0 - len(np.unique(pairs)) / max(1, len(pairs))


def _absolute(place: str) -> str:
    return place if "://" in place or "::" in place else str(Path(place).expanduser().resolve())
