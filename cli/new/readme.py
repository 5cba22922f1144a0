"""The README of a new pipeline, with the next commands."""

from cli.new.found import Found
from cli.new.pipeline import RANKED
from cli.new.training import repeats_of


def readme_text(name: str, found: Found) -> str:
    """Return the README in Markdown."""
    return _with_lists(name, found) if found.has_lists else _items_only(name, found)


def _columns(found: Found) -> str:
    rows = "\n".join(
        f"| {table} | `{guess.column}` | {guess.role} | {guess.reason} |"
        for table, guesses in found.guesses.items()
        for guess in guesses
        if guess.role != "-"
    )
    return f"| table | column | role | reason |\n|---|---|---|---|\n{rows}"


def _with_lists(name: str, found: Found) -> str:
    kinds = ""
    if found.columns is not None and found.columns.kind is not None and not found.choice.kinds:
        kinds = (
            f"\nEvery kind of event counts as much as the others. Change that under `training.events.kinds`. The "
            f"kinds are {', '.join(f'`{kind}`' for kind in found.kinds)}.\n"
        )
    again = "again" if repeats_of(found) else "only once"
    how = (
        f"In the sample, users choose an item {again}. If that is wrong, change `repeats` under "
        f"`training.over_catalogue` and\n`training.ranker`."
    )
    if found.impressions is not None:
        how = (
            "The ranker learns from the lists that users were shown, and its quality is that of its order of these\n"
            "lists. The position of an item is kept beside the lists, and no model reads it."
        )
    return f"""# {name}

A ranking pipeline over your own events. `{name}.yaml` describes it.

    rankway build {name}.yaml    # catalogue, feature definitions, lists by time, and users
    rankway train {name}.yaml    # the ranker, with its quality
    rankway check {name}.yaml
    rankway serve {name}.yaml

Run `build` again when the files change. `train` builds too. Then ask for a ranking:

    curl -s http://127.0.0.1:8000/v1/rank -d '{{"user_id": "USER", "context": {{"now_s": '$(date +%s)'}}, "k": 10}}'

`now_s` is the time of the request. Without it, the ranker assumes the time of the last event.

## The columns

{_columns(found)}

If a role is wrong, correct it under `training.events` in `{name}.yaml`, or run `rankway new` again with
`--column ROLE=NAME --force`.
{kinds}
{how}

The features of the ranker are declared in `{name}/data/features.yaml` of the data home. `build` writes this file.
"""


def _items_only(name: str, found: Found) -> str:
    by = found.attributes["items"].popularity
    order = f"those with the largest `{by}`" if by else "those at the top of the file of items"
    return f"""# {name}

A pipeline over your own items, before there are events. `{name}.yaml` shows popular items first and keeps a log.
`{name}{RANKED}.yaml` ranks with a model that is trained from this log.

## Begin with popular items

    rankway build {name}.yaml    # catalogue and feature definitions
    rankway check {name}.yaml
    rankway serve {name}.yaml

The popular items are {order}. To order them by a column with numbers, run `rankway new` again with
`--column items.popularity=NAME --force`. In a second terminal:

    curl -s http://127.0.0.1:8000/v1/rank -d '{{"user_id": "USER", "context": {{"now_s": '$(date +%s)'}}, "k": 10}}'

A hundred random items are the candidates, so that users see more than the same ten.

## Report what users do

Your application sends each reaction, with the `request_id` of the answer:

    curl -s http://127.0.0.1:8000/v1/feedback -d '{{"request_id": "ID", "item_id": "ITEM", "event": "click"}}'

The kinds of reactions, and the relevance of each, are under `feedback.kinds` in both YAML files.

## Train from the log

    rankway train {name}{RANKED}.yaml
    rankway check {name}{RANKED}.yaml
    rankway serve {name}{RANKED}.yaml

The service writes the log once a minute, and the rest when it stops. `train` reads the log at `log.path` and prints the
quality of the ranker beside that of popularity, on the latest fifth of the lists. Some thousand lists are a useful
start. Serve the ranker when it is better. It goes on with the same log, so the next training has more lists.

If you change the columns or add values of a category, the feature definitions change, and the log before that cannot be
used. New items are no such change: run `rankway build {name}.yaml` again.

## The columns

{_columns(found)}

If a role is wrong, correct it under `training.events` in both YAML files, or run `rankway new` again with
`--column items.ROLE=NAME --force`.
"""
