"""The roles of the columns of items and users: id, number, category, text, vector, position."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from models.datasets.attribute_config import AttributeConfig, AttributesConfig
from models.datasets.files.names import name_score, words_of
from models.datasets.files.profiles import Profile
from models.datasets.files.roles import LEFT_OUT, Guess
from models.errors import ArtifactError

ROLES = ("id", "number", "category", "text", "vector", "latitude", "longitude", "popularity", LEFT_OUT)
RESERVED = frozenset(("number", "popularity", "position", "embedding", "history"))
"""Names of features that Rankway computes itself."""
_TEXT_NAMES = frozenset(
    ["title", "name", "description", "summary", "text", "headline", "body", "abstract", "overview", "caption"]
)
_PLACES = {
    "latitude": frozenset(("lat", "latitude")),
    "longitude": frozenset(("lon", "lng", "long", "longitude")),
}
_SKEWED = 50.0
_MANY = 64


def guess_attributes(
    profiles: Sequence[Profile], what: str, key: str, named: Mapping[str, Sequence[str]]
) -> list[Guess]:
    """Return the role of each column of the items or users.

    Args:
        profiles: the columns.
        what: "items" or "users".
        key: the events' column with the same ids.
        named: columns by role that the user named.

    Raises:
        ArtifactError: a named column or role does not exist.
    """
    present = [profile.name for profile in profiles]
    by_column = {}
    for role, columns in named.items():
        for column in columns:
            if role not in ROLES:
                raise ArtifactError(
                    f"--column: unknown role, got {what}.{role}; name one of {', '.join(ROLES)}"
                )
            if role == "popularity" and what != "items":
                raise ArtifactError(f"--column {what}.{role}={column}: is only for items; remove it")
            if column not in present:
                raise ArtifactError(
                    f"--column {what}.{role}={column}: no such column; name one of {', '.join(present)}"
                )
            by_column[column] = role
    guesses = [
        Guess(p.name, p.type, by_column[p.name], 1.0, "named by --column")
        if p.name in by_column
        else _guess(p, what, key, has_id="id" in named)
        for p in profiles
    ]
    ids = sorted((g for g in guesses if g.role == "id"), key=lambda guess: -guess.confidence)
    return [
        Guess(g.column, g.type, LEFT_OUT, 1.0, f"{ids[0].column} is the id") if g in ids[1:] else g
        for g in guesses
    ]


def _guess(profile: Profile, what: str, key: str, *, has_id: bool) -> Guess:
    def guess(role: str, confidence: float, reason: str) -> Guess:
        return Guess(profile.name, profile.type, role, confidence, reason)

    words = words_of(profile.name)
    unique = profile.distinct == profile.filled == profile.rows
    if not has_id and profile.is_id:
        if words == words_of(key):
            reason = f'named as the events\' column "{key}"'
            return guess(
                "id", 0.95 if unique else 0.75, reason if unique else f"{reason}, but {_again(profile)}"
            )
        if words in (["id"], [what.rstrip("s"), "id"]) or name_score(what.rstrip("s"), profile.name) >= 0.9:
            reason = f'named "{profile.name}"'
            return guess(
                "id", 0.85 if unique else 0.5, reason if unique else f"{reason}, but {_again(profile)}"
            )
    if profile.filled == 0 or (profile.distinct == 1 and not profile.vector):
        return guess(LEFT_OUT, 1.0, "has no value" if profile.filled == 0 else "has one value only")
    if profile.vector:
        return guess("vector", 0.95, f"lists of {profile.vector} numbers")
    if profile.is_list:
        return guess("category", 0.9, f"lists of texts, {profile.distinct:,} values")
    if profile.texts is None:
        return guess(LEFT_OUT, 1.0, f"{profile.type} is not supported")
    if profile.numbers is not None:
        for role, names in _PLACES.items():
            limit = 90.0 if role == "latitude" else 180.0
            if what == "items" and names & set(words) and np.abs(profile.numbers).max() <= limit:
                return guess(role, 0.9, f'named "{profile.name}", within {limit:g} degrees')
        if words[-1:] in (["id"], ["code"], ["uuid"]):
            return guess("category", 0.75, f"numbers that name something, {profile.distinct:,} values")
        return guess("number", 0.9, f"numbers from {profile.numbers.min():g} to {profile.numbers.max():g}")
    if profile.times:
        return guess(LEFT_OUT, 1.0, "times of items and users are not used")
    is_long = profile.words >= 3 or profile.longest > 100
    if set(words) & _TEXT_NAMES or (is_long and profile.separator is None):
        return guess("text", 0.9, f"{profile.words:.1f} words on average")
    if profile.separator is not None:
        return guess("category", 0.85, f'values between "{profile.separator}"')
    if profile.distinct > max(_MANY, profile.filled // 2):
        return guess("text", 0.75, "nearly every row has another value")
    return guess("category", 0.9, f"{profile.distinct:,} values")


def _again(profile: Profile) -> str:
    return (
        f"{profile.rows - profile.distinct:,} of {profile.rows:,} rows have no id, or one of an earlier row"
    )


def feature_name(column: str, taken: set[str]) -> str:
    """Return a free feature name for a column."""
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(words_of(column))).strip("_") or "column"
    if not name[0].isalpha() or name.startswith("history"):
        name = f"own_{name}"
    while name in taken or name in RESERVED:
        name = f"{name}_value"
    return name


def attributes_of(
    guesses: Sequence[Guess], profiles: Sequence[Profile], what: str, *, embed: str | None = None
) -> AttributesConfig:
    """Return the configuration for some columns' roles.

    Raises:
        ArtifactError: no column has the id.
    """
    by_name = {profile.name: profile for profile in profiles}
    by_role: dict[str, list[str]] = {role: [] for role in ROLES}
    for guess in guesses:
        by_role[guess.role].append(guess.column)
    if not by_role["id"]:
        raise ArtifactError(
            f"{what}: no column has the id; name it with --column {what}.id=NAME, one of {', '.join(by_name)}"
        )
    features: dict[str, AttributeConfig] = {}
    for kind in ("number", "category", "vector"):
        for column in by_role[kind]:
            name = feature_name(column, set(features))
            profile = by_name[column]
            features[name] = AttributeConfig(
                column=None if column == name else column,
                kind=kind,
                log=kind == "number" and _is_skewed(profile),
                separator=profile.separator if kind == "category" else None,
            )
    has_position = what == "items" and by_role["latitude"] and by_role["longitude"]
    texts = tuple(by_role["text"]) if what == "items" else ()
    return AttributesConfig(
        id=by_role["id"][0],
        features=features,
        position=(by_role["latitude"][0], by_role["longitude"][0]) if has_position else None,
        texts=texts,
        embed=embed if texts else None,
        popularity=by_role["popularity"][0] if by_role["popularity"] else None,
    )


def _is_skewed(profile: Profile) -> bool:
    numbers = profile.numbers
    if numbers is None or numbers.min() < 0:
        return False
    median = float(np.median(numbers))
    return bool(numbers.max() > _SKEWED * max(median, 1e-9) and median > 0)
