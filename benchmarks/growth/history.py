"""CPU per request against the length of the user's history: the whole ranker, and with the encoded history cached."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.growth.chart import Chart, Panel, Points
from benchmarks.growth.in_process import InProcess, with_changes
from benchmarks.growth.tiled import write_tiled_catalogue
from models.architectures import build_architecture
from models.artifact import Artifact, write_artifact
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.rows import UserRowCodec, row_key
from models.features.transforms import NOW
from models.ragged import RaggedArray
from models.training.export import ONNX, weight_writer
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.releases.shared_parts import SharedParts
from services.stages.features import load_definitions
from services.stores.lmdb import LmdbStore

_XS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_EVENT = "rating"
_CACHE = {"max_bytes": 1 << 30}
WITHOUT, HIT, FEATURES = "ranker, history encoded", "ranker, history cached", "features stage"


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Measure one user for each length, without the history cache and with every lookup a hit."""
    with tempfile.TemporaryDirectory(prefix="rankway-growth-") as folder:
        home = Path(folder)
        pipeline = write_home(home, xs, settings["candidates"])
        cached = with_changes(pipeline, {"ranker": {"history_cache": _CACHE}})
        shared = SharedParts()  # LMDB opens an environment only once in a process
        with InProcess(pipeline, home, shared) as plain, InProcess(cached, home, shared) as hit:
            for user, length in enumerate(xs):
                without = plain.cost(settings["seconds"], user)
                with_cache = hit.cost(settings["seconds"], user)
                history = plain.batch.requests["user.history"]
                assert isinstance(history, RaggedArray) and len(history.values) == length, "another history"
                yield (
                    length,
                    {
                        WITHOUT: without["ranker"],
                        HIT: with_cache["ranker"],
                        FEATURES: without["features"],
                        "us per event": without["ranker"] * 1e3 / length,
                    },
                )


def write_home(home: Path, lengths: Sequence[int], candidates: int) -> PipelineConfig:
    """Write definitions, catalogue, store and ranker with room for the longest history. Return the pipeline."""
    source = home_directory()
    pipeline = WORKLOADS["walks-200"].pipeline()
    definitions = _longer(load_definitions(source / pipeline.features.definitions), max(lengths))
    (home / "features.yaml").write_text(yaml.safe_dump(definitions.model_dump(mode="json")))
    catalogue = Catalogue.open(source / pipeline.catalogue)
    hashed = {"feature_hash": definitions.content_hash}
    write_tiled_catalogue(home / "catalogue", catalogue, len(catalogue), hashed)
    _write_users(home / "users", definitions, np.asarray(catalogue.keys), lengths)
    _write_ranker(home / "ranker", source / pipeline.models["ranker"].artifact, definitions.content_hash)
    unit = {**pipeline.model_dump(mode="json")["units"]["main"], "stages": ["features", "ranker"]}
    return with_changes(
        pipeline.model_copy(update={"catalogue": "catalogue"}),
        {
            "features": {
                "definitions": "features.yaml",
                "store": {"kind": "lmdb", "path": "users"},
                "overlay": str(source / (pipeline.features.overlay or "")),
                "live": None,
            },
            "candidates": {"count": candidates},
            "models": {"ranker": {"artifact": "ranker"}, "reranker": None, "distilled": None},
            "reranker": None,
            "fallback": None,
            "units": {"main": unit},
        },
    )


def _longer(definitions: FeatureSet, length: int) -> FeatureSet:
    """Return the definitions with room for ``length`` ratings."""
    data = definitions.model_dump(mode="json")
    for feature in data["features"]:
        if feature["name"].startswith("history"):
            feature["max_length"] = length
    return FeatureSet.model_validate(data)


def _write_users(
    path: Path, definitions: FeatureSet, keys: "np.ndarray[Any, Any]", lengths: Sequence[int]
) -> None:
    codec, random = UserRowCodec(definitions), np.random.default_rng(0)
    dtype = codec.events.types[_EVENT]
    now_s = next(float(feature.default_value()) for feature in definitions.features if feature.column == NOW)
    store = LmdbStore(path, readonly=False)
    try:
        for user, length in enumerate(lengths):
            records = np.zeros(length, dtype)
            records["key"], records["rating"] = random.choice(keys, length), random.random(length)
            records["at_s"] = now_s - length + np.arange(length)
            records["sequence"] = np.arange(length)
            row = codec.encode({}, events={_EVENT: records})
            store.write_many([(row_key("user", b"u-%06d" % user), row)])
    finally:
        store.close()


def _write_ranker(root: Path, like: Path, feature_hash: str) -> None:
    """Write a ranker of the same size with random weights. Weights do not change the cost."""
    torch.manual_seed(0)
    module = build_architecture(Artifact.load(like).architecture).eval()
    signature = Artifact.load(like).signature.model_copy(update={"feature_hash": feature_hash})
    write_artifact(
        root,
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=module.options.model_dump(mode="json"),
    )


CHART = Chart(
    name="history",
    title="walks' ranker with longer histories and 200 candidates: CPU per request, one replica in one process",
    x_label="events in the user's history",
    xs=_XS,
    panels=(
        Panel("CPU ms per request", (WITHOUT, HIT, FEATURES), bend_of=WITHOUT),
        Panel("CPU us per event", ("us per event",)),
    ),
    measure=measure,
    settings={"seconds": 2.0, "candidates": 200},
)
