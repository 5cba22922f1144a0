"""The rank features that a tree model of an application reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.convert.sources import source_text
from services.errors import ConfigError

_MOST_BYTES = 1024 * 1024 * 1024


def tree_features(path: Path) -> list[str]:
    """Return the rank features in a dump of LightGBM or XGBoost, in the order of the model's vector.

    XGBoost's dump names only the features of its splits, so their order is that of the first use. A missing file has
    none.

    Raises:
        ConfigError: the file is not JSON.
    """
    if not path.is_file():
        return []
    text = source_text(path, _MOST_BYTES)
    try:
        model = json.loads(text)
        if isinstance(model, dict):
            names = model.get("feature_names")
            return [str(name) for name in names] if isinstance(names, list) else []
        return list(dict.fromkeys(_splits(model)))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from error


def _splits(trees: Any) -> Iterator[str]:
    waiting = list(reversed(trees)) if isinstance(trees, list) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "split" in node:
                yield str(node["split"])
            children = node.get("children")
            waiting += reversed(children) if isinstance(children, list) else []
