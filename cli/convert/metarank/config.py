"""Read a Metarank configuration: its features, one of its models, its store and its API."""

from pathlib import Path
from typing import Any

import yaml

from cli.convert.draft import Draft
from cli.convert.metarank.features import convert_feature
from cli.convert.metarank.feedback import convert_weights
from cli.convert.metarank.service import convert_service
from cli.convert.section import Section
from cli.convert.sources import source_text
from services.errors import ConfigError

_NEIGHBOURS = (
    "semantic neighbours are a candidate source, and Rankway ships none. Send candidates, or write a source"
)
_MODELS_WITHOUT = {
    "shuffle": "it ranks at random, as a baseline. Compare with `rankway train`, which prints random order",
    "noop": "it keeps the caller's order, as a baseline. Compare in your own client",
    "als": "similar items are a candidate source, and Rankway ships none. Send candidates, or write a source",
    "bert": _NEIGHBOURS,
    "semantic": _NEIGHBOURS,
}
_TRAINING = {
    "backend": "options of the training: give them to the trainer of your model",
    "split": "Rankway's training splits by time. If you train elsewhere, split there",
}
_MODEL_NONE = {
    "selector": "one pipeline has one model for all requests. Filter the training data, and serve two pipelines",
}
_WITHOUT = {
    "source": "Rankway reads no event stream. Load user features with `rankway features load`",
    "input": "Rankway reads no event stream. Load user features with `rankway features load`",
    "core": "session lengths, import caches and usage reports: Rankway keeps lists by request id and reports nothing",
}


def read_metarank(source: Path, *, name: str, model: str | None) -> Draft:
    """Read config.yml of Metarank.

    Args:
        source: the file.
        name: name of the pipeline.
        model: the model to serve. None: the only one of type lambdamart.

    Raises:
        ConfigError: the file cannot be read, or it has several models and none was chosen.
    """
    config = Section(_loaded(source), "", str(source))
    models = config.named("models")
    chosen = _chosen(models, model, str(source))
    draft = Draft(name)
    used = models[chosen].texts("features") if chosen else None
    columns: dict[str, list[str]] = {}
    for feature in config.sections("features"):
        label = feature.text("name") or feature.path
        if label in columns:
            raise feature.error("name", "declared twice", label)
        if used is not None and label not in used:
            draft.decide(f"features.{label}", "", f"{chosen} does not read it, so it was left out")
            columns[label] = []
        else:
            columns[label] = convert_feature(draft, feature, label)
    for label, section in models.items():
        if section.text("type") == "trending":
            _trending(draft, label, is_fallback=chosen is not None)
        else:
            _model(draft, label, section, columns if label == chosen else None)
    convert_service(draft, config)
    for label, section in config.named("inference").items():
        draft.decide(
            f"inference.{label}",
            "",
            f"{section.text('type')} {section.text('model')}: import a cross-encoder with `rankway models import`, and "
            "compute embeddings when you write the catalogue",
        )
    draft.unread(config, "", _WITHOUT)
    return draft


def _loaded(source: Path) -> Any:
    text = source_text(source)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{source}: cannot be read as YAML: {error}") from error


def _chosen(models: dict[str, Section], wanted: str | None, file: str) -> str | None:
    ranking = [name for name, section in models.items() if section.text("type") == "lambdamart"]
    if wanted is not None:
        if wanted not in ranking:
            raise ConfigError(
                f"{file}: models: no model of type lambdamart has this name, got {wanted!r}; name one of "
                f"{', '.join(ranking) or 'none'}"
            )
        return wanted
    if len(ranking) > 1:
        raise ConfigError(
            f"{file}: models: expected one model of type lambdamart, got {', '.join(ranking)}; choose with --model"
        )
    return ranking[0] if ranking else None


def _trending(draft: Draft, label: str, *, is_fallback: bool) -> None:
    """Take popular items over: as the fallback of a ranker, or as the order of a pipeline without a ranker."""
    place = f"models.{label}"
    field = "fallback.popular.column" if is_fallback else "popular.column"
    draft.set(
        field,
        "popularity",
        place,
        decide="an item column with the popularity, the weighted and decayed count of the events",
    )
    if "item.popularity" not in draft.features:
        draft.feature("item", "popularity", "count the events when you write the catalogue")
    note = "popular items answer if the ranker cannot" if is_fallback else "the pipeline has no ranker"
    draft.decide(place, field, note)


def _model(draft: Draft, label: str, section: Section, columns: dict[str, list[str]] | None) -> None:
    place, kind = f"models.{label}", section.text("type")
    if kind != "lambdamart":
        draft.none(place, _MODELS_WITHOUT.get(kind, f"unknown type of model, got {kind!r}"))
        return
    if columns is None:
        draft.decide(place, "", "a pipeline has one ranker. Convert this model on its own with --model")
        return
    backend = section.section("backend").text("type", "lightgbm or xgboost")
    vector = []
    for feature in section.texts("features"):
        if feature not in columns:
            raise section.error("features", "not declared under features", feature)
        vector += columns[feature]
    artifact = draft.model(
        "ranker",
        "ranker",
        place,
        decide=f"a {backend} model as an artifact. Metarank keeps its own in its store. `metarank export` writes "
        f"the training data, from which you can train it again",
        note=f"Its vector, in this order: {', '.join(vector) or 'nothing that Rankway can supply'}",
    )
    draft.decide(
        place, f"models.ranker.artifact: {artifact}", f"train the {backend} model again, or import it"
    )
    if "weights" in section:
        convert_weights(draft, section.section("weights"))
    for key, note in _TRAINING.items():
        if key in section:
            section.get(key)
            draft.decide(f"{place}.{key}", "", note)
    if "eval" in section:
        section.get("eval")
        draft.mapped(f"{place}.eval", "", "`rankway train` prints NDCG beside two baselines")
    if "warmup" in section:
        section.get("warmup")
        draft.mapped(f"{place}.warmup", "", "a replica is ready only after every shape has run")
    draft.unread(section, place, _MODEL_NONE)
