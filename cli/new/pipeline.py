"""The YAML of a new pipeline."""

import re
from typing import Any

import yaml

from cli.new.found import Found
from cli.new.training import training_part
from models.errors import ArtifactError

CANDIDATES = 100
_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
_FEEDBACK = {"click": 0.2, "purchase": 1.0}
RANKED = "-ranked"
"""The second pipeline of items without events has this after its name: it ranks by a model that the log trained."""


def expect_name(name: str) -> None:
    """Check that a pipeline can have the name.

    Raises:
        ArtifactError: it cannot.
    """
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise ArtifactError(
            f"NAME: must be lower-case letters, digits and hyphens, got {name!r}; choose another"
        )


def pipeline_texts(name: str, found: Found) -> dict[str, str]:
    """Return the YAML files with comments, by file name."""
    if found.has_lists:
        return {f"{name}.yaml": _text(name, found, ranked=True)}
    return {
        f"{name}.yaml": _text(name, found, ranked=False),
        f"{name}{RANKED}.yaml": _text(name, found, ranked=True),
    }


def _text(name: str, found: Found, *, ranked: bool) -> str:
    stages = ["features", "ranker"] if ranked else ["features"]
    parts = [
        f"# The pipeline {name}, written by `rankway new`. Every field is in docs/configuration.md and docs/data.md.",
        "# Paths without a leading slash are below the data home ($RANKWAY_HOME, or .rankway).",
        _yaml({"name": name, "catalogue": f"{name}/data/catalogue"}),
        _yaml({"features": _features(name, found)}),
        "# The items to rank if a request names none: a random sample.",
        _yaml({"candidates": {"kind": "sample", "count": max(1, min(CANDIDATES, found.items_seen))}}),
        *(_ranker(name) if ranked else _popular(name)),
        *([] if found.has_lists else _log(name, found)),
        _yaml({"units": {"main": {"stages": stages, "replicas": 1, "cpus": 1}}}),
        _yaml({"training": training_part(name, found)}),
    ]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _features(name: str, found: Found) -> dict[str, Any]:
    definitions = {"definitions": f"{name}/data/features.yaml"}
    if not found.has_lists and "users" not in found.locations:
        return definitions
    return {**definitions, "store": {"kind": "lmdb", "path": f"{name}/users"}}


def _ranker(name: str) -> list[str]:
    model = {"artifact": f"{name}/models/ranker", "runtime": {"kind": "onnx", "threads": 1}}
    return [
        _yaml({"models": {"ranker": model}, "ranker": {"model": "ranker"}}),
        "# The answer if the ranker fails or would be late.",
        _yaml({"fallback": {"popular": {"column": "popularity"}}}),
    ]


def _popular(name: str) -> list[str]:
    return [
        f"# There are no events yet, so popular items come first. {name}{RANKED}.yaml ranks by a trained model.",
        _yaml({"popular": {"column": "popularity"}}),
    ]


def _log(name: str, found: Found) -> list[str]:
    return [
        "# The answers and the reactions are kept, and train the ranker.",
        _yaml({"log": {"path": f"{name}/served"}}),
        "# What users do, and how much it says, from 0 to 1.",
        _yaml({"feedback": {"kinds": found.choice.kinds or _FEEDBACK}}),
    ]


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
