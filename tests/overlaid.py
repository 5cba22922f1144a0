"""A small real pipeline with features of every group. Its score combines one feature of each group.

score = 1000 x visits of the user in the last 100 s + 10 x rain + crowd of the item's cell + the item's live bonus.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper

from models.artifact import write_artifact
from models.features.aggregates import Aggregate
from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.overlay import Overlay
from models.features.rows import UserRowCodec, row_key
from models.signature import InputSpec, Signature
from services.config.pipeline import PipelineConfig
from services.stages.updates.live_folder import LiveFolder
from services.stages.updates.live_items import set_live
from services.stores.lmdb import LmdbStore

NOW_S = 1000.0
VISITS_S = (880.0, 950.0, 990.0)
ITEMS, CELLS = 40, 4
FEATURES = FeatureSet(
    features=(
        Feature(name="now_s", group="context", dtype="float64", default=NOW_S, minimum=0.0, maximum=1e11),
        Feature(name="home", group="user", dtype="int32"),
        Feature(
            name="visits",
            group="realtime",
            aggregate=Aggregate(kind="count", event="visit", window_s=100.0, max_events=8),
        ),
        Feature(name="rain", group="global", default=0.5, fresh_for_s=60.0),
        Feature(name="crowd", group="cell", default=0.25),
        Feature(name="bonus", group="live"),
        Feature(name="cell", group="item", dtype="int32"),
    )
)


def write_overlay(root: Path, rain: float, crowd: float, at_s: float = NOW_S - 10.0) -> None:
    """Write one snapshot: the rain, and in cell c a crowd of ``crowd + c``."""
    Overlay(
        times_s=np.array([at_s]),
        globals={"rain": np.array([rain], dtype=np.float32)},
        cells={"crowd": (crowd + np.arange(CELLS, dtype=np.float32))[None]},
    ).write(root, FEATURES)


def live_folder(config: PipelineConfig, home: Path) -> LiveFolder:
    """Return the pipeline's folder for live item features."""
    return LiveFolder(home, config.name, config.features.live)


def set_bonus(config: PipelineConfig, home: Path, value: float, item: str) -> None:
    """Set an item's live bonus, as ``rankway features set`` does."""
    folder, catalogue = live_folder(config, home), Catalogue.open(home / config.catalogue)
    set_live(folder, FEATURES, catalogue, "bonus", value, [item])


def make_overlaid_pipeline(home: Path, units: dict[str, Any] | None = None) -> Path:
    """Write data, overlay, model and YAML under ``home``. Return the YAML's path. User "u" made visits at VISITS_S."""
    write_catalogue(
        home / "catalogue",
        name="overlaid",
        version="1",
        features=FEATURES,
        ids=[f"item-{i}" for i in range(ITEMS)],
        columns={"cell": np.arange(ITEMS, dtype=np.int32) % (CELLS + 1) - 1},
        details=[b"{}"] * ITEMS,
    )
    (home / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    store, codec, row = LmdbStore(home / "users", readonly=False), UserRowCodec(FEATURES, "realtime"), None
    for sequence, at_s in enumerate(VISITS_S):
        row = codec.with_event(row, "visit", at_s, sequence, {})
    assert row is not None
    store.write_many([(row_key("realtime", b"u"), row)])
    store.close()
    write_overlay(home / "overlay", rain=1.0, crowd=2.0)
    _write_model(home / "model")
    path = home / "pipeline.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "overlaid",
                "catalogue": "catalogue",
                "features": {
                    "definitions": "features.yaml",
                    "store": {"kind": "lmdb", "path": "users"},
                    "overlay": "overlay",
                    "live": "live",
                    "refresh_s": 0.02,
                },
                "candidates": {"kind": "sample", "count": 10, "max_count": ITEMS},
                "models": {"ranker": {"artifact": "model"}},
                "ranker": {"model": "ranker"},
                "units": units or {"main": {"stages": ["features", "ranker"], "cpus": 0.5}},
            }
        )
    )
    return path


def _write_model(root: Path) -> None:
    floats = {"visits": "b", "rain": "b", "crowd": "n", "bonus": "n"}
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["thousand"], value_float=1000.0),
            helper.make_node("Constant", [], ["ten"], value_float=10.0),
            helper.make_node("Mul", ["visits", "thousand"], ["visited"]),
            helper.make_node("Mul", ["rain", "ten"], ["rained"]),
            helper.make_node("Add", ["visited", "rained"], ["offset"]),
            helper.make_node("Gather", ["offset", "request_of"], ["own"]),
            helper.make_node("Add", ["crowd", "own"], ["without_bonus"]),
            helper.make_node("Add", ["without_bonus", "bonus"], ["score"]),
        ],
        "overlaid",
        [
            *(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [axis])
                for name, axis in floats.items()
            ),
            helper.make_tensor_value_info("request_of", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
    )
    signature = Signature(
        inputs=(
            InputSpec(name="visits", source="realtime.visits"),
            InputSpec(name="rain", source="global.rain"),
            InputSpec(name="crowd", source="cell.crowd"),
            InputSpec(name="bonus", source="live.bonus"),
            InputSpec(name="request_of", source="batch.request_of", dtype="int64"),
        ),
        feature_hash=FEATURES.content_hash,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_artifact(
        root,
        name="overlaid",
        signature=signature,
        weights="model.onnx",
        write_files=lambda staging: onnx.save(model, str(staging / "model.onnx")),
    )
