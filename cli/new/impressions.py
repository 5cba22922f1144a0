"""Understand the impressions: lists that were shown, with their outcomes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from cli.new.columns import IMPRESSIONS, Choice
from cli.new.columns_asked import column_questions, time_format
from cli.new.found import Question
from models.datasets.files.flattening import flattened, is_list, lengths_of
from models.datasets.files.names import name_score
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.profiles import Profile
from models.datasets.files.roles import LEFT_OUT, SHOWN_ROLES, Guess, guess_events, unsure
from models.datasets.files.warnings import event_warnings
from models.datasets.shown_config import ImpressionsConfig
from models.errors import ArtifactError

_PREFIX = f"{IMPRESSIONS}."
_ONLY_SHOWN = re.compile("impress|view|show|display|none|skip|serve")


@dataclass(frozen=True)
class Shown:
    """How the impressions were understood. ``config`` is None if a question is open."""

    guesses: list[Guess]
    config: ImpressionsConfig | None
    kinds: tuple[str, ...]
    warnings: list[str]
    questions: list[Question]


def flat_sample(sample: pa.Table, choice: Choice) -> tuple[pa.Table, str | None]:
    """Return a sample with one row per shown item, and the column that surely has lists of items, if there is one.

    Lists in a row become rows.
    """
    lists = [name for name in sample.column_names if is_list(sample.schema.field(name).type)]
    named = choice.impressions.get("item")
    if not lists or (named is not None and named not in lists):
        return sample, None
    texts = [name for name in lists if pa.types.is_string(sample.schema.field(name).type.value_type)]
    likely = texts if len(texts) == 1 else [name for name in lists if _names_items(name)]
    key = named or (likely[0] if likely else lists[0])
    batch = pa.RecordBatch.from_arrays(
        [_whole(sample.column(name)) for name in sample.column_names], names=sample.column_names
    )
    lengths = lengths_of(batch.column(key))
    others = [name for name in lists if (lengths_of(batch.column(name)) == lengths).all()]
    flat = flattened(Part("", 1, "row", batch), key, others, BadRows(skip=True)).data
    return pa.table(flat), key if len(likely) == 1 else None


def _names_items(column: str) -> bool:
    return max(name_score("item", column), name_score("item", column.removesuffix("s"))) > 0


def _whole(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def understand_shown(
    sample: pa.Table, profiles: Sequence[Profile], choice: Choice, item: str | None = None
) -> Shown:
    """Guess the roles of the columns, and collect questions and warnings.

    Args:
        sample: some rows, one for each shown item.
        profiles: their columns.
        choice: what the user said.
        item: the column that surely has the items. None: it is guessed.

    Raises:
        ArtifactError: the user named a column or kind that does not exist, or no column has the outcome.
    """
    guesses = guess_events(
        profiles, ({} if item is None else {"item": item}) | choice.impressions, SHOWN_ROLES, _PREFIX
    )
    if item is not None and "item" not in choice.impressions:
        guesses = [
            replace(g, confidence=0.9, reason="lists of ids") if g.role == "item" else g for g in guesses
        ]
    by_name = {profile.name: profile for profile in profiles}
    role_of = {guess.role: guess for guess in guesses if guess.role != LEFT_OUT}
    if "label" in role_of and "kind" in role_of:
        # Both say what the user did. The number is read, unless the user named the kind only.
        spare = "label" if "kind" in choice.impressions and "label" not in choice.impressions else "kind"
        guesses = [_left_out(guess) if guess.role == spare else guess for guess in guesses]
        del role_of[spare]
    questions = column_questions(IMPRESSIONS, guesses, profiles, _PREFIX)
    if "label" not in role_of and "kind" not in role_of:
        questions.append(
            Question(
                f"column {_PREFIX}label",
                f"{IMPRESSIONS}: no column is surely the label, a number that tells how the user reacted",
                tuple(p.name for p in profiles if p.numbers is not None),
                f"name it with --column {_PREFIX}label=NAME, or name the kind with --column {_PREFIX}kind=NAME",
            )
        )
    form, asked = time_format(IMPRESSIONS, role_of.get("time"), by_name, choice)
    questions += asked
    kinds: tuple[str, ...] = ()
    warnings: list[str] = []
    relevance: dict[str, float] = {}
    highest = 1.0
    if "kind" in role_of:
        texts = by_name[role_of["kind"].column].texts
        assert texts is not None
        kinds = tuple(sorted(set(filter(None, texts.to_pylist()))))
        relevance = {name: choice.kinds.get(name, 0.0) for name in kinds}
        if not any(relevance.values()):
            questions.append(
                Question(
                    "kinds",
                    f"{IMPRESSIONS}: which kinds of {', '.join(kinds)} are reactions is unknown",
                    (),
                    f"name the relevance of each with --kind, such as --kind {_reaction(kinds)}=1",
                )
            )
    elif "label" in role_of:
        highest, warnings = _highest(by_name[role_of["label"].column])
    if questions or unsure(guesses):
        return Shown(guesses, None, kinds, warnings, questions)
    columns = {role: role_of[role].column for role in SHOWN_ROLES if role in role_of}
    if "list" not in columns:
        warnings.append(
            f"{IMPRESSIONS}: no column has the id of the list; the rows of one user at one time are one list "
            f"(--column {_PREFIX}list=NAME)"
        )
    warnings += [
        f"{IMPRESSIONS}: {text}"
        for text in event_warnings(sample, by_name, columns, form)
        if "of another one" not in text
    ]
    config = ImpressionsConfig.model_validate(
        {**columns, "highest": highest, "kinds": relevance, "format": form}
    )
    return Shown(guesses, config, kinds, warnings, [])


def _reaction(kinds: Sequence[str]) -> str:
    """Return a kind for an example, which should not be that of an item that was only shown."""
    return next((kind for kind in kinds if not _ONLY_SHOWN.search(kind.lower())), kinds[0])


def _left_out(guess: Guess) -> Guess:
    return Guess(guess.column, guess.type, LEFT_OUT, 1.0, "another column has the outcome")


def _highest(profile: Profile) -> tuple[float, list[str]]:
    numbers = profile.numbers
    if numbers is None:
        return 1.0, []
    if numbers.min() < 0:
        raise ArtifactError(
            f"--column {_PREFIX}label={profile.name}: must be 0 or more, got {numbers.min():g}; name another column"
        )
    highest = float(numbers.max())
    if highest <= 1.0:
        return 1.0, []
    return highest, [
        f"{IMPRESSIONS}: the labels are from 0 to {highest:g}; {highest:g} means the relevance 1 (highest)"
    ]
