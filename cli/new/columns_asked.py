"""Questions about columns and times that the files leave open."""

from collections.abc import Mapping, Sequence

from cli.new.columns import Choice
from cli.new.found import Question
from models.datasets.files.profiles import Profile
from models.datasets.files.roles import NEEDED, Guess, unsure
from models.datasets.time_format import TimeFormat


def column_questions(
    table: str, guesses: Sequence[Guess], profiles: Sequence[Profile], prefix: str = ""
) -> list[Question]:
    """Return a question for each needed role that no column has surely.

    Args:
        table: the table's name, for the text.
        guesses: the roles of its columns.
        profiles: its columns.
        prefix: what precedes a role in ``--column``.
    """
    questions = []
    for role in unsure(guesses):
        guess = next((guess for guess in guesses if guess.role == role), None)
        taken = {g.column for g in guesses if g.role in NEEDED and g.is_sure}
        others = tuple(
            p.name for p in profiles if p.name not in taken and (p.times if role == "time" else p.is_id)
        )
        if guess is not None and not guess.rivals and "dates fit" in guess.reason:
            continue  # the column is clear, and its pattern is asked for
        text = f"{table}: no column is surely the {role}"
        if guess is not None:
            text += f"; the likeliest is {guess.column} ({guess.reason})"
        first = () if guess is None else (guess.column,)
        answers = (*first, *(name for name in others if name not in first))
        remedy = f"name it with --column {prefix}{role}=NAME"
        questions.append(Question(f"column {prefix}{role}", text, answers, remedy))
    return questions


def time_format(
    table: str, guess: Guess | None, profiles: Mapping[str, Profile], choice: Choice
) -> tuple[TimeFormat, list[Question]]:
    """Return how the times of a table are written, and questions about that."""
    if guess is None:
        return TimeFormat(zone=choice.zone), []
    profile, questions = profiles[guess.column], []
    form = profile.times[0]
    if len(profile.times) > 1 and choice.pattern is None:
        patterns = tuple(one.pattern or "" for one in profile.times)
        questions.append(
            Question(
                "time-pattern",
                f"{table}: the dates of column {guess.column} can be read in several ways",
                patterns,
                f"name the pattern with --time-pattern, one of {', '.join(map(repr, patterns))}",
            )
        )
    if 0.0 < profile.naive < 1.0 and choice.zone is None:
        questions.append(
            Question(
                "time-zone",
                f"{table}: {profile.naive:.0%} of the times of column {guess.column} have no time zone, the others "
                "have one",
                ("UTC",),
                "name the zone of those without one with --time-zone",
            )
        )
    zone = choice.zone or ("UTC" if profile.naive > 0 else None)
    return form.model_copy(update={"zone": zone}), questions
