"""Trains a LambdaMART ranker (Burges 2010, MSR-TR-2010-82) with LightGBM, and exports it to ONNX."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact, write_artifact
from models.atomic_directory import settled
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.overlay import Overlay
from models.features.timelines import item_column
from models.features.view import FeatureView
from models.importing.converted import INPUT, converted, largest_difference
from models.importing.known_features import KnownFeatures
from models.importing.lightgbm import of_text
from models.importing.onnx_graph import ONNX
from models.runtimes.golden import write_golden
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.trees.files import LIGHTGBM_FILE
from models.signature import VECTOR, InputSpec, Signature
from models.training.boosting import fit_trees
from models.training.config import TrainingConfig
from models.training.examples.usable_lists import expect_labels
from models.training.folders import Trained, TrainingFolders
from models.training.lineage import already_trained, hash_of, hash_of_data, hash_of_training_code
from models.training.metrics import quality
from models.training.ranker_config import LambdaMartTraining
from models.training.vector_data import VectorData
from models.training.vector_lists import ListsInMemory, Progress, read_lists
from models.vectors import VectorBuilder, VectorSpec

_GOLDEN_ROWS = 256


def train_lambdamart(
    config: TrainingConfig,
    features: FeatureSet,
    folders: TrainingFolders,
    progress: Progress,
    *,
    force: bool = False,
) -> Trained:
    """Train the ranker if it is out of date, and write its artifact atomically.

    Args:
        config: the pipeline's training part.
        features: the feature definitions.
        folders: data, catalogue, overlay, and the artifact to write.
        progress: called with the task, the trees or lists that are done, all of them, and a note.
        force: train even if nothing has changed.

    Raises:
        ArtifactError: the data do not exist, or were made with other feature definitions.
        SignatureError: a feature does not exist or has no fixed shape.
        TrainingError: the data have no lists, or no positive labels.
    """
    ranker = config.ranker
    if not isinstance(ranker, LambdaMartTraining):
        raise TrainingError(f"training.ranker.kind: expected lightgbm, got {ranker.kind}")
    catalogue = Catalogue.open(settled(folders.catalogue))
    known = KnownFeatures(features, catalogue)
    spec = VectorSpec(features=ranker.features or known.fixed(), missing=ranker.missing)
    names = known.vector_names(spec.features, field="training.ranker.features")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TrainingError(f"training.ranker.features: {repeated[0]} is given twice; name each feature once")
    lineage = _lineage(config, ranker, features, folders, spec)
    if not force and (existing := already_trained(folders.ranker, lineage["key"])) is not None:
        return Trained(existing, folders.ranker, fresh=False)
    overlay = None if folders.overlay is None else Overlay.open(folders.overlay, features)
    timelines = folders.open_timelines(catalogue)
    data = VectorData(
        folder=folders.data,
        view=FeatureView(features, catalogue, overlay),
        build=VectorBuilder(spec, catalogue, name=INPUT, timelines=timelines),
        reference=partial(item_column, config.reference, catalogue=catalogue, timelines=timelines)
        if config.reference is not None
        else None,
        width=len(names),
        over=config.over_catalogue,
        history=ranker.history,
        seed=config.seed,
    )
    started_s = time.monotonic()
    train = read_lists(data, "train", ranker.max_lists or config.max_train_lists, progress)
    valid = read_lists(data, "valid", config.max_valid_lists, progress)
    middle = len(valid.offsets) // 2
    select, report = valid.part(0, middle), valid.part(middle, len(valid.offsets) - 1)
    expect_labels(train=train.labels, selection=select.labels, report=report.labels)
    text, trees = fit_trees(train, select, ranker, config, names, progress)
    lineage["training"] = {
        "trees": trees,
        "lists": {
            name: len(split.offsets) - 1
            for name, split in (("train", train), ("selection", select), ("report", report))
        },
        "wall_s": round(time.monotonic() - started_s, 1),
    }
    return Trained(
        _written(text, spec, len(names), report, config, features, folders.ranker, lineage),
        folders.ranker,
        fresh=True,
    )


def _lineage(
    config: TrainingConfig,
    ranker: LambdaMartTraining,
    features: FeatureSet,
    folders: TrainingFolders,
    spec: VectorSpec,
) -> dict[str, Any]:
    lineage: dict[str, Any] = {
        "data": hash_of_data(folders.read),
        "features": features.content_hash,
        "code": hash_of_training_code(),
        "seed": config.seed,
        "vector": spec.model_dump(mode="json"),
        "lists": config.model_dump(
            mode="json", include={"over_catalogue", "max_train_lists", "max_valid_lists"}
        ),
        "config": ranker.model_dump(mode="json"),
    }
    lineage["key"] = hash_of(lineage)
    return lineage


def _written(
    text: str,
    spec: VectorSpec,
    width: int,
    report: ListsInMemory,
    config: TrainingConfig,
    features: FeatureSet,
    root: Path,
    lineage: dict[str, Any],
) -> Artifact:
    import lightgbm as lgb

    original = of_text(text, "ranker", lgb.__version__)
    signature = Signature(
        inputs=(InputSpec(name=INPUT, source=f"{VECTOR}{INPUT}", shape=(width,)),),
        feature_hash=features.content_hash,
        vectors={INPUT: spec},
    )
    output = signature.outputs[0].name
    graph = converted(original, output)
    golden = report.vectors[:_GOLDEN_ROWS]
    lineage["largest_difference"] = largest_difference(
        original, graph, output, golden, has_missing=spec.missing == "nan"
    )
    metrics = _metrics(original.predict(report.vectors).astype(np.float32), report, config)

    def write(folder: Path) -> None:
        (folder / ONNX).write_bytes(graph)
        (folder / LIGHTGBM_FILE).write_text(text)  # for runtime.kind: lightgbm
        runtime = OnnxRuntime(folder / ONNX, signature)
        write_golden(folder, {INPUT: golden}, runtime.run({INPUT: golden}))

    return write_artifact(
        root,
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=write,
        metrics=metrics,
        lineage=lineage,
    )


def _metrics(scores: NDArray[np.float32], report: ListsInMemory, config: TrainingConfig) -> dict[str, float]:
    orders = {
        "": scores,
        "random_": np.random.default_rng(config.seed).random(len(scores), dtype=np.float32),
    }
    if report.reference is not None:
        orders["popularity_"] = report.reference
    metrics: dict[str, float] = {}
    for prefix, order in orders.items():
        metrics |= quality(order, report.labels, report.offsets, prefix)
    return metrics
