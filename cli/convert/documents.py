"""The two files of a conversion: the pipeline and its feature definitions."""

from typing import Any

from pydantic import ValidationError

from cli.convert.commented_yaml import Path, dumped
from cli.convert.draft import Draft, Setting
from models.features.definition import OVERLAID, FeatureSet
from services.config.loading import validated
from services.errors import ConfigError

_ORDER = (
    "name",
    "catalogue",
    "features",
    "candidates",
    "models",
    "ranker",
    "popular",
    "reranker",
    "fallback",
    "units",
)
_NOW = {"name": "now_s", "group": "context", "dtype": "float64"}
DECIDE = "decide: "
"""Begins the comment above a value that needs a decision."""


def pipeline_text(draft: Draft, definitions: str, origin: str) -> str:
    """Return the pipeline's YAML, which has been validated.

    Args:
        draft: the converted pipeline.
        definitions: name of the file with the feature definitions, for a comment.
        origin: the source, for the comment at the top and for errors.

    Raises:
        ConfigError: a value of the source is out of range.
    """
    settings = _defaults(draft, definitions) | draft.settings
    document: dict[str, Any] = {}
    for path in sorted(settings, key=lambda path: _rank(path.partition(".")[0])):
        inner, (*parents, last) = document, path.split(".")
        for part in parents:
            inner = inner.setdefault(part, {})
        inner[last] = settings[path].value
    comments = {tuple(path.split(".")): _comments(setting) for path, setting in settings.items()}
    _check_pipeline(document, draft, origin)
    head = f"Converted from {origin}. Lines with '{DECIDE.strip()}' need a decision of yours."
    return dumped(document, comments, head)


def definitions_text(draft: Draft, origin: str) -> str:
    """Return the YAML of the feature definitions, which have been validated.

    Raises:
        ConfigError: a feature of the source cannot be declared.
    """
    features: list[dict[str, Any]] = [
        {"name": feature.name, "group": feature.group, **feature.fields}
        for feature in draft.features.values()
    ]
    # A transform reads only features that are declared before it.
    first = [_NOW] if _is_timed(draft) else []
    features = [*first, *features]
    comments: dict[Path, tuple[str, ...]] = {
        ("features", str(index)): (f"{DECIDE}{feature.decide}",)
        for index, feature in enumerate(draft.features.values(), len(first))
        if feature.decide
    }
    try:
        FeatureSet.model_validate({"features": features})
    except ValidationError as error:
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise ConfigError(f"{origin}: its features cannot be declared: {faults}") from error
    head = f"Converted from {origin}. Lines with '{DECIDE.strip()}' need a decision of yours."
    return dumped({"features": features}, comments, head)


def _defaults(draft: Draft, definitions: str) -> dict[str, Setting]:
    has_ranker = "popular.column" not in draft.settings
    stages = ["features", *(["ranker"] if has_ranker else [])]
    stages += ["reranker"] if "reranker.model" in draft.settings else []
    store = "a store of users, which `rankway features load` fills"
    settings = {
        "name": Setting(draft.name),
        "catalogue": Setting(
            f"{draft.name}/data/catalogue", decide="the folder of the catalogue, with your items"
        ),
        "features.definitions": Setting(
            f"{draft.name}/data/features.yaml", decide=f"copy {definitions} to this path in the data home"
        ),
        "candidates.kind": Setting(
            "sample",
            decide="the source for requests without candidates. They get random items, until you choose another",
        ),
        "candidates.count": Setting(100),
        "units.main.stages": Setting(stages),
        "units.main.replicas": Setting(1),
    }
    keyed = any(feature.group in {"user", "realtime"} for feature in draft.features.values())
    if keyed and "features.store.kind" not in draft.settings:
        settings["features.store.kind"] = Setting("lmdb", note=store)
        settings["features.store.path"] = Setting(f"{draft.name}/users")
    if has_ranker and not any(path.startswith("models.") for path in draft.settings):
        settings["models.ranker.artifact"] = Setting(
            f"{draft.name}/models/ranker",
            decide="the source has no model that can be taken over; train or import one",
        )
        settings["ranker.model"] = Setting("ranker")
    return settings


def _comments(setting: Setting) -> tuple[str, ...]:
    decide = f"{DECIDE}{setting.decide}" if setting.decide else ""
    return tuple(text for text in (setting.note, decide) if text)


def _rank(section: str) -> int:
    return _ORDER.index(section) if section in _ORDER else len(_ORDER)


def _is_timed(draft: Draft) -> bool:
    if "context.now_s" in draft.features:
        return False
    return any(
        feature.group in OVERLAID
        or feature.fields.keys() & {"aggregate", "fresh_for_s"}
        or "context.now_s" in str(feature.fields.get("transform"))
        for feature in draft.features.values()
    )


def _check_pipeline(document: dict[str, Any], draft: Draft, origin: str) -> None:
    try:
        validated(document, origin)
    except ConfigError as error:
        lines = []
        for line in str(error).splitlines():
            field = line.removeprefix(f"{origin}: ").partition(":")[0]
            setting = draft.settings.get(field)
            lines.append(f"{line} (from {setting.source})" if setting and setting.source else line)
        raise ConfigError("\n".join(lines)) from error
