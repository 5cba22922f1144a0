"""The walks pipeline's models on the later half of its hold-out, which neither training nor early stopping used."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ranking.flat import FlatFeatures
from benchmarks.ranking.lambdamart import fit_lambdamart
from benchmarks.ranking.results import PER_LIST, Labelled, Ranking, measure, table_of
from benchmarks.ranking.trained import ranking_of
from models.architectures.options import HistoryRankerOptions
from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.features.overlay import Overlay
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.training.examples.usable_lists import thinned
from services.config.pipeline import PipelineConfig
from services.stages.features import load_definitions

RANKER = "ranker"
SHOWN = ("ndcg_at_10", "mrr")


def walks_quality(
    pipeline: PipelineConfig, home: Path, *, threads: int, seed: int, lambdamart_lists: int
) -> dict[str, Any]:
    """Evaluate the pipeline's models and the references. Return the table and the data sizes.

    Args:
        pipeline: the walks pipeline.
        home: the data home.
        threads: thread count.
        seed: random seed for LambdaMART and the random reference.
        lambdamart_lists: maximum training lists for LambdaMART. Lists are thinned evenly over time, because a flat row
            per candidate is large.

    Raises:
        ArtifactError: the world or a model is missing. Build and train them first.
    """
    assert pipeline.training is not None
    catalogue = Catalogue.open(home / pipeline.catalogue)
    data = home / pipeline.training.data
    view = _view(pipeline, home, catalogue)
    train, labels = _read(data / "train", catalogue)
    train_count = len(train)
    train, labels = thinned(train, labels, lambdamart_lists)
    learned = view.completed(train), labels
    valid_batch, labels = _read(data / "valid", catalogue)
    later = np.array_split(np.arange(len(valid_batch)), 2)[1]
    extras = {"label": labels, "oracle": np.load(data / "valid" / "oracle.npy")}
    batch = view.completed(valid_batch.adding(candidates=extras).take(later))
    users = np.load(data / "valid" / "user.npy")[later]
    labels = batch.candidates["label"]

    def judge(rank: Ranking) -> PER_LIST:
        return measure(rank(batch), labels, batch.offsets)

    root = home / pipeline.models[pipeline.required_ranker().model].artifact
    scores = ranking_of(root, catalogue, threads=threads)(batch)
    methods = {RANKER: measure(scores, labels, batch.offsets)}
    if pipeline.reranker is not None:
        rerank = ranking_of(home / pipeline.models[pipeline.reranker.model].artifact, catalogue)
        methods["ranker + reranker"] = measure(
            rerank(batch.adding(candidates={"score": scores})), labels, batch.offsets
        )
    distilled = pipeline.training.distilled
    if distilled is not None and distilled.model in pipeline.models:
        methods["distilled"] = judge(ranking_of(home / pipeline.models[distilled.model].artifact, catalogue))
    artifact = Artifact.load(root)
    ways = HistoryRankerOptions.model_validate(artifact.architecture).distances
    features = FlatFeatures(artifact.signature, ways, catalogue)
    trees = fit_lambdamart(learned, features, threads=threads, seed=seed)
    methods["LambdaMART"] = judge(trees.rank)
    popular = np.asarray(catalogue.columns["popularity"])
    methods["popularity"] = judge(lambda lists: popular[lists.rows])
    random = np.random.default_rng(seed)
    methods["random"] = judge(lambda lists: random.random(lists.candidate_count, dtype=np.float32))
    methods["oracle"] = judge(lambda lists: lists.candidates["oracle"].astype(np.float32))
    return {
        "lists": len(batch),
        "users": len(np.unique(users)),
        "training_lists": train_count,
        "lambdamart": {**trees.setting, "lists": trees.lists},
        "methods": table_of(methods, users, ours=RANKER, metrics=SHOWN),
    }


def _view(pipeline: PipelineConfig, home: Path, catalogue: Catalogue) -> FeatureView:
    features = load_definitions(home / pipeline.features.definitions)
    overlay = pipeline.features.overlay
    return FeatureView(
        features, catalogue, None if overlay is None else Overlay.open(home / overlay, features)
    )


def _read(root: Path, catalogue: Catalogue) -> Labelled:
    return read_impressions(
        root, feature_hash=catalogue.manifest.feature_hash, keys_to_rows=catalogue.rows_of_keys
    )
