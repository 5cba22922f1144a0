"""The part ``training`` of a new pipeline's YAML."""

from typing import Any

from cli.new.found import Found
from models.datasets.attribute_config import AttributesConfig

HISTORY = 100
MOST_LISTS = 300_000
_REPEATED = 0.02
"""If more of the sampled events repeat an earlier choice, items that the user chose before are ranked again."""
_CHOSEN_AGAIN = {"over_catalogue": {"negatives": 150, "repeats": True}, "max_valid_lists": 400}
_CHOSEN_ONCE = {"over_catalogue": {"negatives": 100}, "max_valid_lists": 600}
_SHOWN = {"max_valid_lists": 20_000}
"""Lists that were shown have items that nobody chose, so none are drawn from the catalogue."""


def repeats_of(found: Found) -> bool:
    """Return whether users choose items again. Lists that were shown may have items that users know."""
    return found.impressions is not None or found.repeats > _REPEATED


def training_part(name: str, found: Found) -> dict[str, Any]:
    """Return the part ``training`` of the YAML."""
    repeats = repeats_of(found)
    events: dict[str, Any] = {
        "files": found.locations,
    }
    if found.columns is not None:
        events["columns"] = found.columns.model_dump(exclude_none=True)
    if found.impressions is not None:
        events["impressions"] = found.impressions.model_dump(exclude_none=True, exclude_defaults=True)
    time = found.time.model_dump(exclude_none=True, exclude_defaults=True)
    if time:
        events["time"] = time
    if found.columns is not None and found.columns.kind is not None:
        kinds = {kind: found.choice.kinds[kind] for kind in found.kinds if kind in found.choice.kinds}
        events["kinds"] = kinds or dict.fromkeys(found.kinds, 1.0)
    for table, attributes in found.attributes.items():
        events[table] = attributes.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    if found.choice.skip_bad:
        events["skip_bad"] = True
    if not found.has_lists:
        return {"events": events, "data": f"{name}/data/impressions", "ranker": _trees(found)}
    events |= {
        "merge": "sum" if repeats else "last",
        "history": HISTORY if repeats else 50,
        "max_lists": MOST_LISTS,
    }
    return {
        "events": events,
        "data": f"{name}/data/impressions",
        **(_SHOWN if found.impressions is not None else _CHOSEN_AGAIN if repeats else _CHOSEN_ONCE),
        "ranker": _ranker(found, repeats=repeats),
    }


def _trees(found: Found) -> dict[str, Any]:
    """Return trees over the items and the users, because there are no histories to read."""
    items, users = found.attributes.get("items"), found.attributes.get("users")
    read = [*_read(items), *(["embedding"] if items is not None and items.embed else []), "popularity"]
    if items is not None and items.position is not None:
        read.append("position")
    features = [f"item.{name}" for name in read] + [f"user.{name}" for name in _read(users)]
    return {"kind": "lightgbm", "features": features, "min_rows": 20, "learning_rate": 0.1}


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
    if not repeats and found.columns is not None and (found.columns.value or found.choice.kinds):
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
