"""``rankway new NAME``: write a pipeline for the user's own events, impressions or items."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import BAD_INPUT, exit_on_error, print_error, print_warning
from cli.new.columns import parse_columns
from cli.new.pipeline import RANKED, expect_name, pipeline_texts
from cli.new.questions import ask
from cli.new.readme import readme_text
from cli.new.table import print_guesses
from models.errors import ArtifactError


def new(
    name: Annotated[
        str, typer.Argument(help="Name of the pipeline. NAME.yaml and NAME-README.md are written.")
    ],
    events: Annotated[
        str | None,
        typer.Option("--events", help="Events: CSV, Parquet or JSON lines. A file, a folder or a URL."),
    ] = None,
    impressions: Annotated[
        str | None,
        typer.Option(
            "--impressions", help="Lists that were shown: one row for each shown item or each list."
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option("--items", help="One row for each item. Without events, popular items come first."),
    ] = None,
    users: Annotated[str | None, typer.Option("--users", help="One row for each user.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="ROLE=NAME: user, item, time, kind, value; impressions.ROLE with list, user, item, time, position, "
            "label, kind; items.ROLE or users.ROLE with id, number, category, text, vector, latitude, longitude, "
            "popularity. ROLE=- for none. May be repeated.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="KIND=RELEVANCE from 0 to 1, such as click=0.2. May be repeated."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", help="Zone of times without one, such as Europe/Helsinki.")
    ] = None,
    time_pattern: Annotated[
        str | None, typer.Option("--time-pattern", help="strptime pattern of the times, such as %d/%m/%Y.")
    ] = None,
    embed: Annotated[
        Path | None,
        typer.Option(
            "--embed", help="Folder with model.onnx and tokenizer.json, which encode the items' texts."
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip rows that cannot be read, here and in later builds.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the columns as JSON.")] = False,
) -> None:
    """Write a pipeline for your own events, impressions or items.

    Reads a sample of the files, reports the role of each column with its confidence, and writes NAME.yaml and
    NAME-README.md. If it is unsure of a needed column, it asks on a terminal, or exits with 2. With items only it also
    writes NAME-ranked.yaml, for the ranker that the log trains.
    """
    from cli.new.understanding import understand

    console = Console(stderr=True)
    remedy = "nothing is written; run the command in a folder that you may write"
    with exit_on_error(console, OSError, remedy=remedy, exit_code=BAD_INPUT):
        expect_name(name)
        if not (events or impressions or items):
            raise ArtifactError("--events: missing; name events, impressions or items with --events FILE")
        names = [f"{name}.yaml", f"{name}-README.md"]
        if not (events or impressions):
            names.append(f"{name}{RANKED}.yaml")
        for target in map(Path, names):
            if os.path.lexists(target) and not target.is_file():
                raise ArtifactError(f"{target}: is no file; name another pipeline, or move it away")
            if target.exists() and not force:
                raise ArtifactError(
                    f"{target}: exists already; name another pipeline, or replace it with --force"
                )
        choice = parse_columns(column or [], kind or [], time_zone, time_pattern, embed, skip_bad=skip_bad)
        if impressions and not events:
            choice = replace(choice, events={}, impressions={**choice.events, **choice.impressions})
        places = {"events": events, "impressions": impressions, "items": items, "users": users}
        found = understand(places, choice)
        if not as_json:
            print_guesses(console, found)
        if found.open_questions:
            if not sys.stdin.isatty() or not console.is_terminal:
                for question in found.open_questions:
                    print_error(console, f"{question.text}; {question.remedy}")
                raise typer.Exit(BAD_INPUT)
            found = ask(found, console)
        for warning in found.warnings:
            print_warning(console, warning)
        texts = pipeline_texts(name, found) | {f"{name}-README.md": readme_text(name, found)}
        _write_all(texts)
    if as_json:
        typer.echo(
            json.dumps({table: [asdict(g) for g in guesses] for table, guesses in found.guesses.items()})
        )
    console.print(f"{', '.join(texts)} are written. Next: rankway build {name}.yaml", soft_wrap=True)


def _write_all(texts: Mapping[str, str]) -> None:
    """Write all files, or none if a file cannot be written."""
    staged = {Path(f".{name}.writing"): Path(name) for name in texts}
    try:
        for temporary, target in staged.items():
            temporary.write_text(texts[target.name], encoding="utf-8")
        for temporary, target in staged.items():
            temporary.replace(target)
    finally:
        for temporary in staged:
            temporary.unlink(missing_ok=True)
