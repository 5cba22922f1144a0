"""The YAML of a new pipeline."""

import re
from typing import Any

import yaml

from cli.new.understanding import Found
from models.datasets.config import AttributesConfig
from models.errors import ArtifactError

HISTORY = 100
CANDIDATES = 100
MOST_LISTS = 300_000
_REPEATED = 0.02
"""If more of the sampled events repeat an earlier choice, items that the user chose before are ranked again."""
_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")


def pipeline_text(name: str, found: Found) -> str:
    """Return the YAML, with comments.

    Raises:
        ArtifactError: the name cannot be that of a pipeline.
    """
    if not _NAME.match(name) or len(name) > 63:
        raise ArtifactError(
            f"NAME: must be lower-case letters, digits and hyphens, got {name!r}; choose another"
        )
    parts = [
        f"# The pipeline {name}, written by `rankway new`. Every field is in docs/configuration.md and docs/data.md.",
        "# Paths without a leading slash are below the data home ($RANKWAY_HOME, or .rankway).",
        _yaml({"name": name, "catalogue": f"{name}/data/catalogue"}),
        _yaml(
            {
                "features": {
                    "definitions": f"{name}/data/features.yaml",
                    "store": {"kind": "lmdb", "path": f"{name}/users"},
                }
            }
        ),
        "# The items to rank if a request names none: a random sample.",
        _yaml({"candidates": {"kind": "sample", "count": min(CANDIDATES, found.items_seen)}}),
        _yaml(
            {
                "models": {
                    "ranker": {"artifact": f"{name}/models/ranker", "runtime": {"kind": "onnx", "threads": 1}}
                },
                "ranker": {"model": "ranker"},
            }
        ),
        "# The answer if the ranker fails or would be late.",
        _yaml({"fallback": {"popular": {"column": "popularity"}}}),
        _yaml({"units": {"main": {"stages": ["features", "ranker"], "replicas": 1, "cpus": 1}}}),
        _yaml({"training": _training(name, found)}),
    ]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def repeats_of(found: Found) -> bool:
    """Return whether users choose items again."""
    return found.repeats > _REPEATED


def _training(name: str, found: Found) -> dict[str, Any]:
    assert found.columns is not None
    repeats = repeats_of(found)
    events: dict[str, Any] = {
        "files": found.locations,
        "columns": found.columns.model_dump(exclude_none=True),
    }
    time = found.time.model_dump(exclude_none=True, exclude_defaults=True)
    if time:
        events["time"] = time
    if found.columns.kind is not None:
        events["kinds"] = found.choice.kinds or dict.fromkeys(found.kinds, 1.0)
    for table, attributes in found.attributes.items():
        events[table] = attributes.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    if found.choice.skip_bad:
        events["skip_bad"] = True
    events |= {
        "merge": "sum" if repeats else "last",
        "history": HISTORY if repeats else 50,
        "max_lists": MOST_LISTS,
    }
    return {
        "events": events,
        "data": f"{name}/data/impressions",
        "over_catalogue": {"negatives": 150, "repeats": True} if repeats else {"negatives": 100},
        "max_valid_lists": 400 if repeats else 600,
        "ranker": _ranker(found, repeats=repeats),
    }


def _ranker(found: Found, *, repeats: bool) -> dict[str, Any]:
    items, users = found.attributes.get("items"), found.attributes.get("users")
    columns = [*_read(items), *(["embedding"] if items is not None and items.embed else [])]
    request = [f"user.{feature}" for feature in _read(users)]
    ranker: dict[str, Any] = {
        "items": columns if columns and not repeats else [*columns, "popularity"],
        "number": "number",
        **({"repeats": True} if repeats else {}),
        "profile": None,
        **({"request": request} if request else {}),
    }
    values = [{"name": "history_count", "encoding": "log"}] if repeats else []
    assert found.columns is not None
    if not repeats and (found.columns.value or found.choice.kinds):
        values.append({"name": "history_value"})
    values += [{"name": "history_age_s", "encoding": "log"}, {"name": "history_rank", "encoding": "log"}]
    ranker["history_values"] = values
    if repeats:
        ranker["size"] = {"width": 64, "heads": 4, "layers": 1, "hidden": 128}
    ranker["dropout"] = 0.1 if repeats else 0.2
    ranker["fit"] = (
        {"epochs": 5, "lists_per_step": 64, "learning_rate": 0.002}
        if repeats
        else {"epochs": 4, "lists_per_step": 128, "learning_rate": 0.003, "patience": 4}
    )
    return ranker


def _read(attributes: AttributesConfig | None) -> list[str]:
    """Return the features that the model reads."""
    if attributes is None:
        return []
    return [f"{name}_log" if one.log else name for name, one in attributes.features.items()]
