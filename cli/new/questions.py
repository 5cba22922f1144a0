"""Ask on a terminal what the files leave open."""

from dataclasses import replace

import typer
from rich.console import Console

from cli.new.columns import IMPRESSIONS, parse_kinds
from cli.new.found import Found
from cli.new.understanding import understand

_ROUNDS = 5


def ask(found: Found, console: Console) -> Found:
    """Ask the open questions, and understand the files again with the answers.

    Raises:
        ArtifactError: an answer names something that does not exist.
        Exit: questions are left after several rounds.
    """
    for _ in range(_ROUNDS):
        if not found.open_questions:
            return found
        question = found.open_questions[0]
        console.print(question.text, markup=False, highlight=False, soft_wrap=True)
        for number, answer in enumerate(question.answers, start=1):
            console.print(f"  {number}  {answer}", markup=False, highlight=False)
        default = "1" if question.answers else None
        what = "KIND=RELEVANCE ..." if question.field == "kinds" else "Number or name"
        given = typer.prompt(what, default=default, err=True).strip()
        index = int(given) - 1 if given.isdigit() and given not in question.answers else -1
        answer = question.answers[index] if 0 <= index < len(question.answers) else given
        choice = found.choice
        if question.field == "time-zone":
            choice = replace(choice, zone=answer)
        elif question.field == "time-pattern":
            choice = replace(choice, pattern=answer)
        elif question.field == "kinds":
            choice = replace(choice, kinds=parse_kinds(given.replace(",", " ").split()))
        else:
            role = question.field.removeprefix("column ")
            table, _, inner = role.partition(".")
            if table == IMPRESSIONS:
                choice = replace(choice, impressions={**choice.impressions, inner: answer})
            elif inner:
                named = {**choice.attributes.get(table, {}), inner: [answer]}
                choice = replace(choice, attributes={**choice.attributes, table: named})
            else:
                choice = replace(choice, events={**choice.events, role: answer})
        found = understand(found.locations, choice)
    if found.open_questions:
        raise typer.Exit(2)
    return found
