"""Writes what the hand-written application reads for the walks: plain arrays of the items and of the users.

The benchmark runs this in Rankway's environment before it measures. The hand-written application then has every user's
features in memory, for the moment that is the default of ``context.now_s``. Rankway reads them from its store and
derives ages and hours for each request. So the hand-written application has an advantage here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.batches import open_features
from benchmarks.cases.workloads import Workload
from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.features.definition import PER_CANDIDATE
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from models.signature import InputSpec
from services.stages.context import ContextLayout
from services.stages.features import load_definitions

_DAY_S = 86_400.0
UNKNOWN = ""
"""The id under which the features of users without stored features are written."""


def export_users(workload: Workload, home: Path, folder: Path) -> None:
    """Write the arrays of the items, and of the users in the workload's requests.

    Args:
        workload: a walks workload, with a reranker that has diversity and the rule for seen items.
        home: Rankway's home.
        folder: gets ``items.npz``, ``requests.npz``, ``history.npz`` and ``walks.json``.
    """
    pipeline = workload.pipeline()
    reranker = pipeline.reranker
    assert reranker is not None
    assert reranker.diversity is not None
    assert reranker.rules.seen is not None
    paths = {
        name: pipeline.models[model].artifact
        for name, model in (("ranker", pipeline.required_ranker().model), ("reranker", reranker.model))
    }
    inputs = {name: Artifact.load(home / path).signature.inputs for name, path in paths.items()}
    specs = [spec for own in inputs.values() for spec in own]
    names = [*(json.loads(body)["user_id"] for body in workload.bodies()), UNKNOWN]

    catalogue = Catalogue.open(home / pipeline.catalogue)
    layout = ContextLayout(load_definitions(home / pipeline.features.definitions))
    stage = open_features(pipeline, home, catalogue)
    items = stage(_batch(layout, np.arange(len(catalogue)), [UNKNOWN]))
    users = stage(_batch(layout, np.zeros(len(names), dtype=np.int64), names))
    stage.close()

    _save(folder / "items.npz", {s.source: _item_column(s, items, catalogue) for s in specs if _is_item(s)})
    own = [spec for spec in specs if spec.source in users.requests]
    _save(folder / "requests.npz", {s.source: np.asarray(users.requests[s.source], s.dtype) for s in own})
    history, now_s = _ragged(users, "user.history"), users.requests["context.now_s"]
    assert isinstance(now_s, np.ndarray)
    seen_from_s = np.repeat(now_s, np.diff(history.offsets)) - reranker.rules.seen.within_days * _DAY_S
    lists = [s for s in specs if s.source.startswith("user.") and s.source.endswith(":list")]
    _save(
        folder / "history.npz",
        {
            "offsets": history.offsets,
            "rows": catalogue.rows_of_keys(history.values),
            "is_recent": _ragged(users, "user.history_at_s").values >= seen_from_s,
            "position": np.asarray(users.requests["context.position"]),
            **{s.source: np.asarray(_ragged(users, s.source).values, s.dtype) for s in lists},
        },
    )
    document = {
        "users": names,
        "inputs": {name: [[spec.name, spec.source] for spec in own] for name, own in inputs.items()},
        "graphs": {name: f"{path}/model.onnx" for name, path in paths.items()},
        "catalogue": pipeline.catalogue,
        "position_column": catalogue.manifest.position_column,
        "diversity_column": reranker.diversity.column,
        "relevance_weight": reranker.diversity.relevance_weight,
        "best": reranker.best,
    }
    (folder / "walks.json").write_text(json.dumps(document))


def _batch(layout: ContextLayout, rows: NDArray[np.int64], users: Sequence[str]) -> RaggedBatch:
    """Return a batch with the default context and the same number of rows for each user."""
    context = layout.columns([layout.encode({})] * len(users))
    return RaggedBatch(
        offsets=offsets_of(np.full(len(users), len(rows) // len(users))),
        rows=rows,
        requests={f"context.{name}": column for name, column in context.items()},
        user_keys=[name.encode() for name in users],
    )


def _is_item(spec: InputSpec) -> bool:
    return spec.source.partition(".")[0] in {"item", *PER_CANDIDATE} and "@" not in spec.source


def _item_column(spec: InputSpec, items: RaggedBatch, catalogue: Catalogue) -> NDArray[Any]:
    if spec.source in items.candidates:
        return np.asarray(items.candidates[spec.source], spec.dtype)
    return np.asarray(catalogue.columns[spec.source.removeprefix("item.")], spec.dtype)


def _ragged(users: RaggedBatch, source: str) -> RaggedArray:
    column = users.requests[source.partition(":")[0]]
    assert isinstance(column, RaggedArray)
    return column


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its own keyword comes first in the stub
