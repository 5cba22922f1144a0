"""Understand the files: roles of columns, time format, questions that are open, and warnings."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from cli.new.columns import TABLES, Choice
from models.datasets.config import AttributesConfig, EventColumns, TimeFormat
from models.datasets.files.attribute_roles import attributes_of, guess_attributes
from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import Profile, profile_of, sample_of
from models.datasets.files.roles import EVENT_ROLES, LEFT_OUT, NEEDED, Guess, guess_events, unsure
from models.datasets.files.tables import open_table
from models.datasets.files.warnings import event_warnings, looks_personal, personal_data
from models.errors import ArtifactError


@dataclass(frozen=True)
class Question:
    """A question that the user must answer.

    Attributes:
        field: "column ROLE", "time-zone" or "time-pattern".
        text: what is unclear.
        answers: possible answers, the likeliest first.
        remedy: the option that answers it.
    """

    field: str
    text: str
    answers: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class Found:
    """What the files have.

    Attributes:
        locations: absolute paths or URLs by table.
        choice: what the user said.
        guesses: the roles by table.
        time: how times are written.
        kinds: values of the kind column.
        items_seen: different items in the sample.
        repeats: the share of events whose user chose the item before.
    """

    locations: dict[str, str]
    choice: Choice
    guesses: dict[str, list[Guess]]
    columns: EventColumns | None = None
    time: TimeFormat = field(default_factory=TimeFormat)
    kinds: tuple[str, ...] = ()
    items_seen: int = 0
    repeats: float = 0.0
    attributes: dict[str, AttributesConfig] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    open_questions: tuple[Question, ...] = ()


def understand(events: str, items: str | None, users: str | None, choice: Choice) -> Found:
    """Read schemas and samples.

    Raises:
        ArtifactError: a file cannot be read, or the user named something that does not exist.
    """
    locations = {
        name: _absolute(place)
        for name, place in (("events", events), ("items", items), ("users", users))
        if place
    }
    for table, named in choice.attributes.items():
        if named and table not in locations:
            raise ArtifactError(
                f"--column {table}.{next(iter(named))}: there is no file of {table}; add --{table} FILE"
            )
    bad = BadRows(skip=choice.skip_bad)
    samples = {name: sample_of(open_table(place), bad) for name, place in locations.items()}
    profiles = {
        table: [profile_of(name, sample.column(name)) for name in sample.column_names]
        for table, sample in samples.items()
    }
    if choice.pattern is not None:
        profiles["events"] = [_with_pattern(p, choice.pattern) for p in profiles["events"]]
    guesses = {"events": guess_events(profiles["events"], choice.events)}
    found = Found(locations, choice, guesses)
    return _completed(found, samples, profiles)


def _completed(found: Found, samples: dict[str, pa.Table], profiles: dict[str, list[Profile]]) -> Found:
    guesses, choice = found.guesses, found.choice
    role_of = {guess.role: guess for guess in guesses["events"] if guess.role != LEFT_OUT}
    events = {profile.name: profile for profile in profiles["events"]}
    questions = _column_questions(guesses["events"], profiles["events"])
    time, asked = _time(role_of.get("time"), events, choice)
    questions += asked
    warnings = [text for table, many in profiles.items() for text in personal_data(many, table)]
    attributes: dict[str, AttributesConfig] = {}
    key = {"items": role_of.get("item"), "users": role_of.get("user")}
    for table in TABLES:
        if table not in profiles:
            continue
        named = choice.attributes.get(table, {})
        known_key = key[table]
        roles = guess_attributes(profiles[table], table, known_key.column if known_key else "", named)
        roles = _without_personal(roles, profiles[table])
        guesses[table] = roles
        unsure_id = unsure(roles, ("id",))
        if unsure_id:
            likely = tuple(guess.column for guess in roles if guess.role == "id")
            questions.append(
                Question(
                    f"column {table}.id",
                    f"{table}: no column is surely the id",
                    likely or tuple(p.name for p in profiles[table] if p.is_id),
                    f"name it with --column {table}.id=NAME",
                )
            )
        else:
            embed = choice.embed if table == "items" else None
            attributes[table] = attributes_of(roles, profiles[table], table, embed=embed)
    columns, kinds, repeats = None, (), 0.0
    if not unsure(guesses["events"]):
        named_columns = {role: role_of[role].column for role in EVENT_ROLES if role in role_of}
        columns = EventColumns.model_validate(named_columns)
        if columns.kind is not None:
            kinds = tuple(sorted(set(filter(None, (events[columns.kind].texts or pa.array([])).to_pylist()))))
        if not questions:
            warnings += event_warnings(samples["events"], events, named_columns, time)
            repeats = _repeats(events[columns.user], events[columns.item])
    unknown = sorted(set(choice.kinds) - set(kinds))
    if unknown and columns is not None:
        raise ArtifactError(
            f"--kind {unknown[0]}: no event of the sample has this kind; name one of {', '.join(kinds) or 'none'}"
        )
    return replace(
        found,
        columns=columns,
        time=time,
        kinds=kinds,
        items_seen=0 if columns is None else events[columns.item].distinct,
        repeats=repeats,
        attributes=attributes,
        warnings=warnings,
        open_questions=tuple(questions),
    )


def _column_questions(guesses: list[Guess], profiles: list[Profile]) -> list[Question]:
    questions = []
    for role in unsure(guesses):
        guess = next((guess for guess in guesses if guess.role == role), None)
        taken = {g.column for g in guesses if g.role in NEEDED and g.is_sure}
        others = tuple(
            p.name for p in profiles if p.name not in taken and (p.times if role == "time" else p.is_id)
        )
        if guess is not None and not guess.rivals and "dates fit" in guess.reason:
            continue  # the column is clear, and its pattern is asked for
        text = f"events: no column is surely the {role}"
        if guess is not None:
            text += f"; the likeliest is {guess.column} ({guess.reason})"
        first = () if guess is None else (guess.column,)
        answers = (*first, *(name for name in others if name not in first))
        questions.append(Question(f"column {role}", text, answers, f"name it with --column {role}=NAME"))
    return questions


def _time(
    guess: Guess | None, events: dict[str, Profile], choice: Choice
) -> tuple[TimeFormat, list[Question]]:
    if guess is None:
        return TimeFormat(zone=choice.zone), []
    profile, questions = events[guess.column], []
    form = profile.times[0]
    if len(profile.times) > 1 and choice.pattern is None:
        patterns = tuple(one.pattern or "" for one in profile.times)
        questions.append(
            Question(
                "time-pattern",
                f"events: the dates of column {guess.column} can be read in several ways",
                patterns,
                f"name the pattern with --time-pattern, one of {', '.join(map(repr, patterns))}",
            )
        )
    if 0.0 < profile.naive < 1.0 and choice.zone is None:
        questions.append(
            Question(
                "time-zone",
                f"events: {profile.naive:.0%} of the times of column {guess.column} have no time zone, the others have "
                f"one",
                ("UTC",),
                "name the zone of those without one with --time-zone",
            )
        )
    zone = choice.zone or ("UTC" if profile.naive > 0 else None)
    return form.model_copy(update={"zone": zone}), questions


def _with_pattern(profile: Profile, pattern: str) -> Profile:
    if profile.texts is None or profile.numbers is not None or profile.type.startswith(("timestamp", "date")):
        return profile
    from models.datasets.files.profiles import fits_pattern

    return replace(
        profile, times=(TimeFormat(pattern=pattern),) if fits_pattern(profile, pattern) else profile.times
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
