"""A small real pipeline for engine tests. Each score shows its item and user.

A candidate's score is its item's value plus its user's bias. Values are whole numbers and biases are 1000 apart,
so a score that went to the wrong request is always noticed. The optional reranker adds one half and keeps the order.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper

from models.artifact import write_artifact
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from models.signature import InputSpec, OutputSpec, Signature
from models.vectors import VectorSpec
from services.stores.lmdb import LmdbStore

ITEMS = 500
USERS = 64
FEATURES = FeatureSet(
    features=(
        Feature(name="bias", group="user"),
        Feature(name="history", group="user", dtype="int64", ragged=True, max_length=60_000),
        Feature(name="value", group="item"),
        Feature(name="position", group="context", dtype="float64", shape=(2,), minimum=-90, maximum=90),
        Feature(name="shift", group="context", minimum=-1e6, maximum=1e6),
    )
)

# Changes for ``make_pipeline``.
WITH_RERANKER: dict[str, Any] = {
    "models": {"reranker": {"artifact": "reranker", "runtime": {"kind": "onnx"}}},
    "reranker": {"model": "reranker", "best": 30},
    "units": {"main": {"stages": ["features", "ranker", "reranker"]}},
}
WITH_DIVERSITY: dict[str, Any] = {"reranker": {"diversity": {"column": "embedding", "relevance_weight": 0.5}}}
SPLIT: dict[str, Any] = {
    "units": {
        "main": {"stages": ["features"], "max_calls_in_flight": 2},
        "scorer": {"stages": ["ranker"], "cpus": 0.5, "batching": {"max_candidates": 512}},
    },
}


def bias_of(user: int) -> float:
    """Return user ``u<user>``'s stored bias."""
    return 1000.0 * (user + 1)


def make_pipeline(home: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write data, model and YAML under ``home``, and return the YAML's path."""
    random = np.random.default_rng(7)
    ids = [f"item-{i:04d}" for i in range(ITEMS)]
    write_catalogue(
        home / "catalogue",
        name="small",
        version="1",
        features=FEATURES,
        ids=ids,
        columns={
            "value": np.arange(ITEMS, dtype=np.float32),
            "start": random.uniform(0, 1, (ITEMS, 2)).astype(np.float32),
            "embedding": np.eye(8, dtype=np.float32)[random.integers(0, 8, ITEMS)],
        },
        details=[f'{{"type":"Feature","id":"{item_id}"}}'.encode() for item_id in ids],
        position_column="start",
    )
    (home / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    codec = UserRowCodec(FEATURES)
    store = LmdbStore(home / "users.lmdb", readonly=False)
    store.write_many(
        (
            row_key("user", f"u{user}".encode()),
            codec.encode({"bias": np.array(bias_of(user), dtype=np.float32)}),
        )
        for user in range(USERS)
    )
    store.close()
    write_model(home / "model")
    write_reranker(home / "reranker")
    path = home / "pipeline.yaml"
    path.write_text(yaml.safe_dump(merged(pipeline_document(), changes or {})))
    return path


def pipeline_document() -> dict[str, Any]:
    """Return the YAML's content: one unit, no reranker."""
    return {
        "name": "small",
        "catalogue": "catalogue",
        "features": {"definitions": "features.yaml", "store": {"kind": "lmdb", "path": "users.lmdb"}},
        "candidates": {"kind": "near", "count": 20, "max_count": 400},
        "models": {"ranker": {"artifact": "model", "runtime": {"kind": "onnx"}}},
        "ranker": {"model": "ranker"},
        "feedback": {"kinds": {"opened": 0.25, "walked": 0.5, "rated": [0.5, 1.0]}},
        # Tests need long deadlines on a busy machine, and priorities to fix the request order.
        "requests": {"max_deadline_ms": 60_000, "max_priority": 100},
        "units": {
            "main": {"stages": ["features", "ranker"], "cpus": 0.5, "batching": {"max_candidates": 256}}
        },
    }


def make_unranked(home: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write data and the YAML of a pipeline without a ranker, and return the YAML's path."""
    path = make_pipeline(home)
    document = {name: part for name, part in pipeline_document().items() if name not in {"models", "ranker"}}
    document["units"] = {"main": {"stages": ["features"], "cpus": 0.5}}
    path.write_text(yaml.safe_dump(merged(document, changes or {})))
    return path


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with nested changes. If a part has another kind, its change replaces the whole part."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            same_kind = value.get("kind", inner.get("kind")) == inner.get("kind")
            result[key] = merged(inner, value) if same_kind else value
        else:
            result[key] = value
    return result


def write_model(root: Path) -> None:
    """Write the ONNX artifact, which computes value + bias[request_of] + shift[request_of]."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["bias", "shift"], ["offset"]),
            helper.make_node("Gather", ["offset", "request_of"], ["own"]),
            helper.make_node("Add", ["value", "own"], ["score"]),
        ],
        "small",
        [
            helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("bias", TensorProto.FLOAT, ["b"]),
            helper.make_tensor_value_info("shift", TensorProto.FLOAT, ["b"]),
            helper.make_tensor_value_info("request_of", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
    )
    signature = Signature(
        inputs=(
            InputSpec(name="value", source="item.value"),
            InputSpec(name="bias", source="user.bias"),
            InputSpec(name="shift", source="context.shift"),
            InputSpec(name="request_of", source="batch.request_of", dtype="int64"),
        ),
        outputs=(OutputSpec(name="score"),),
        feature_hash=FEATURES.content_hash,
    )
    _write(root, graph, signature)


def write_vector_model(root: Path) -> None:
    """Write the ONNX artifact over vectors of value, bias and shift, which computes their sum."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["dense", "axis"], ["score"], keepdims=0)],
        "small",
        [helper.make_tensor_value_info("dense", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    signature = Signature(
        inputs=(InputSpec(name="dense", source="vector.dense", shape=(3,)),),
        feature_hash=FEATURES.content_hash,
        vectors={"dense": VectorSpec(features=("item.value", "user.bias", "context.shift"))},
    )
    _write(root, graph, signature)


def write_reranker(root: Path) -> None:
    """Write the ONNX artifact over padded lists, which computes score + 0.5."""
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["half"], value_float=0.5),
            helper.make_node("Add", ["ranked", "half"], ["score"]),
        ],
        "small-reranker",
        [helper.make_tensor_value_info("ranked", TensorProto.FLOAT, ["b", "m"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["b", "m"])],
    )
    signature = Signature(
        inputs=(InputSpec(name="ranked", source="candidate.ranker"),),
        layout="list",
        feature_hash=FEATURES.content_hash,
    )
    _write(root, graph, signature)


def _write(root: Path, graph: onnx.GraphProto, signature: Signature) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_artifact(
        root,
        name=graph.name,
        signature=signature,
        weights="model.onnx",
        write_files=lambda staging: onnx.save(model, str(staging / "model.onnx")),
    )
