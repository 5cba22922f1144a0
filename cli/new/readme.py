"""The README of a new pipeline, with the next commands."""

from cli.new.pipeline import repeats_of
from cli.new.understanding import Found


def readme_text(name: str, found: Found) -> str:
    """Return the README in Markdown."""
    assert found.columns is not None
    columns = "\n".join(
        f"| {table} | `{guess.column}` | {guess.role} | {guess.reason} |"
        for table, guesses in found.guesses.items()
        for guess in guesses
        if guess.role != "-"
    )
    again = "again" if repeats_of(found) else "only once"
    kinds = ""
    if found.columns.kind is not None and not found.choice.kinds:
        kinds = (
            f"\nEvery kind of event counts as much as the others. Change that under `training.events.kinds`. The "
            f"kinds are {', '.join(f'`{kind}`' for kind in found.kinds)}.\n"
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

| table | column | role | reason |
|---|---|---|---|
{columns}

If a role is wrong, correct it under `training.events` in `{name}.yaml`, or run `rankway new` again with
`--column ROLE=NAME --force`.
{kinds}
In the sample, users choose an item {again}. If that is wrong, change `repeats` under `training.over_catalogue` and
`training.ranker`.

The features of the ranker are declared in `{name}/data/features.yaml` of the data home. `build` writes this file.
"""
