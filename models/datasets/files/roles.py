"""The role of each column, from its name and a sample of its values, with a confidence and the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.datasets.files.names import name_score
from models.datasets.files.profiles import Profile
from models.errors import ArtifactError

SURE = 0.7
"""A role with a lower confidence is not used unless the user confirms it."""
_CLOSE = 0.1
NEEDED = ("user", "item", "time")
EVENT_ROLES = (*NEEDED, "kind", "value")
SHOWN_ROLES = ("list", *NEEDED, "position", "label", "kind")
"""Roles of impressions. One of label and kind is needed too."""
LEFT_OUT = "-"
_MAX_KINDS = 50


@dataclass(frozen=True)
class Guess:
    """A column and its role.

    Attributes:
        role: such as "user" or "number". "-" means that the column is not used.
        confidence: from 0 to 1.
        reason: why, in a few words.
        rivals: other columns that fit nearly as well.
    """

    column: str
    type: str
    role: str
    confidence: float
    reason: str
    rivals: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether the role may be used without asking."""
        return self.confidence >= SURE


def guess_events(
    profiles: Sequence[Profile],
    named: Mapping[str, str],
    roles: Sequence[str] = EVENT_ROLES,
    prefix: str = "",
) -> list[Guess]:
    """Return the role of each column of an event table, or of impressions.

    Args:
        profiles: the columns.
        named: columns by role that the user named. "-" leaves the role out.
        roles: the roles, the most important ones first.
        prefix: what precedes a role in ``--column``.

    Raises:
        ArtifactError: a named column does not exist, or cannot have the role.
    """
    by_name = {profile.name: profile for profile in profiles}
    expect_columns(named, by_name, roles, prefix)
    taken = {column: role for role, column in named.items() if column != LEFT_OUT}
    guesses = {
        column: Guess(column, by_name[column].type, role, 1.0, "named by --column")
        for column, role in taken.items()
    }
    for role in roles:
        if role in named:
            continue
        scores = sorted(
            (
                (*_score(role, profile), profile)
                for profile in profiles
                if profile.name not in guesses and _score(role, profile)[0] > 0
            ),
            key=lambda found: -found[0],
        )
        if not scores:
            continue
        confidence, reason, best = scores[0]
        rivals = tuple(other.name for score, _, other in scores[1:] if score > confidence - _CLOSE)
        if rivals:
            confidence, reason = min(confidence, SURE - 0.1), f"{reason}; {', '.join(rivals[:3])} fits too"
        if role == "time" and len(best.times) > 1:
            patterns = " or ".join(form.pattern or "" for form in best.times)
            confidence, reason = min(confidence, SURE - 0.1), f"{reason}; its dates fit {patterns}"
        if role in NEEDED or confidence >= SURE:
            guesses[best.name] = Guess(best.name, best.type, role, confidence, reason, rivals)
    for profile in profiles:
        if profile.name not in guesses:
            guesses[profile.name] = Guess(profile.name, profile.type, LEFT_OUT, 1.0, "not needed")
    return [guesses[profile.name] for profile in profiles]


def expect_columns(
    named: Mapping[str, str], present: Mapping[str, Profile], roles: Sequence[str], prefix: str = ""
) -> None:
    """Check the columns that the user named.

    Raises:
        ArtifactError: a role or a column does not exist.
    """
    for role, column in named.items():
        if role not in roles:
            raise ArtifactError(
                f"--column: unknown role, got {prefix + role!r}; name one of {', '.join(prefix + r for r in roles)}"
            )
        if column != LEFT_OUT and column not in present:
            raise ArtifactError(
                f"--column {prefix}{role}={column}: no such column; name one of {', '.join(present)}, or "
                f"{LEFT_OUT} for none"
            )
        if column == LEFT_OUT and role in NEEDED:
            raise ArtifactError(
                f"--column {prefix}{role}={column}: the role is needed; name one of {', '.join(present)}"
            )
        if role in ("user", "item", "list") and column != LEFT_OUT and present[column].texts is None:
            raise ArtifactError(
                f"--column {prefix}{role}={column}: must have one value per row, got {present[column].type}; name "
                f"another column"
            )
        if role == "time" and not present[column].times:
            raise ArtifactError(
                f"--column {prefix}time={column}: its values are no times that Rankway knows; name another column, or "
                f"give the format with --time-pattern"
            )


def _score(role: str, profile: Profile) -> tuple[float, str]:
    """Return how well a column fits a role of an event, and why."""
    named = name_score(role, profile.name)
    by_name = f'named "{profile.name}"'
    if role == "time":
        if not profile.times:
            return 0.0, ""
        typed = (
            0.9 if profile.type.startswith(("timestamp", "date")) else 0.8 if profile.numbers is None else 0.4
        )
        reason = f"{by_name}, and has times" if named else "has times"
        return (max(named, typed), reason)
    if role in ("user", "item", "list"):
        if role == "list" and not named:
            return 0.0, ""
        if not profile.is_id or profile.distinct < 2 or (profile.times and not named):
            return 0.0, ""
        if not named:
            return (0.3, "could be ids") if name_score("kind", profile.name) == 0 else (0.0, "")
        if profile.distinct == profile.filled and profile.rows > 100:
            return 0.4, f"{by_name}, but every row has another value"
        return named, f"{by_name}, {profile.distinct:,} ids in {profile.rows:,} rows"
    if not named:
        return 0.0, ""
    if role == "label" and is_yes_or_no(profile):
        return named, f"{by_name}, and is true or false"
    if role == "kind":
        fits = profile.texts is not None and 1 <= profile.distinct <= _MAX_KINDS and profile.numbers is None
        return (named, f"{by_name}, {profile.distinct} kinds") if fits else (0.0, "")
    return (named, f"{by_name}, and has numbers") if profile.numbers is not None else (0.0, "")


def is_yes_or_no(profile: Profile) -> bool:
    """Return whether the values are true and false."""
    if profile.texts is None or not 0 < profile.distinct <= 4:
        return False
    return {str(text).strip().lower() for text in profile.texts.unique().to_pylist() if text} <= {
        "true",
        "false",
    }


def unsure(guesses: Sequence[Guess], roles: Sequence[str] = NEEDED) -> list[str]:
    """Return the needed roles that no column has surely."""
    sure = {guess.role for guess in guesses if guess.is_sure}
    return [role for role in roles if role not in sure]


def confirmed(guesses: Sequence[Guess], role: str, column: str) -> list[Guess]:
    """Return the guesses with a role that the user confirmed."""
    cleared = [replace(g, role=LEFT_OUT, reason="not needed") if g.role == role else g for g in guesses]
    return [
        replace(g, role=role, confidence=1.0, reason="confirmed by you", rivals=())
        if g.column == column
        else g
        for g in cleared
    ]
