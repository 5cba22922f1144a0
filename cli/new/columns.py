"""The choices that the user made on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import ArtifactError

TABLES = ("items", "users")
IMPRESSIONS = "impressions"


@dataclass(frozen=True)
class Choice:
    """What the user said about the files.

    Attributes:
        events: columns by role.
        impressions: columns by role.
        attributes: columns by table and role.
        kinds: relevance by kind of event.
        zone: the zone of times without one.
        pattern: the pattern of the times.
        embed: the folder of a sentence encoder.
    """

    events: dict[str, str] = field(default_factory=dict)
    impressions: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)
    zone: str | None = None
    pattern: str | None = None
    embed: str | None = None
    skip_bad: bool = False


def parse_columns(
    columns: Sequence[str],
    kinds: Sequence[str],
    zone: str | None,
    pattern: str | None,
    embed: Path | None,
    *,
    skip_bad: bool,
) -> Choice:
    """Return the choices.

    Raises:
        ArtifactError: an option is not ``NAME=VALUE``, or a role of the events is named twice.
    """
    from models.datasets.files.times import zone_of

    events: dict[str, str] = {}
    shown: dict[str, str] = {}
    attributes: dict[str, dict[str, list[str]]] = {table: {} for table in TABLES}
    for text in columns:
        role, name = _pair("--column", text, "ROLE=NAME, such as user=customer_id")
        table, _, inner = role.partition(".")
        if table in TABLES and inner:
            attributes[table].setdefault(inner, []).append(name)
            continue
        chosen, inner = (shown, inner) if table == IMPRESSIONS and inner else (events, role)
        if inner in chosen:
            raise ArtifactError(
                f"--column: role {role} is named twice, got {chosen[inner]} and {name}; keep one"
            )
        chosen[inner] = name
    relevance = parse_kinds(kinds)
    if zone is not None:
        zone_of(zone)
    return Choice(
        events,
        shown,
        attributes,
        relevance,
        zone,
        pattern,
        None if embed is None else str(embed.absolute()),
        skip_bad,
    )


def parse_kinds(kinds: Sequence[str]) -> dict[str, float]:
    """Return the relevance by kind.

    Raises:
        ArtifactError: a text is not ``KIND=RELEVANCE``, or a relevance is no number from 0 to 1.
    """
    relevance: dict[str, float] = {}
    for text in kinds:
        kind, number = _pair("--kind", text, "KIND=RELEVANCE, such as click=0.2")
        try:
            relevance[kind] = float(number)
        except ValueError:
            raise ArtifactError(
                f"--kind {text}: must be a number from 0 to 1, got {number!r}; correct it"
            ) from None
        if not 0.0 <= relevance[kind] <= 1.0:
            raise ArtifactError(f"--kind {text}: must be from 0 to 1, got {number}; correct it")
    return relevance


def _pair(option: str, text: str, form: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not sign or not left.strip() or not right.strip():
        raise ArtifactError(f"{option}: must be {form}, got {text!r}; correct it")
    return left.strip(), right.strip()
