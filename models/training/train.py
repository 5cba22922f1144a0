"""Trains a pipeline's artifacts: the ranker, then the reranker and the distilled ranker on the ranker's scores."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from models.architectures import build_architecture
from models.architectures.options import HistoryRankerOptions
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.timelines import item_column
from models.runtimes.golden import golden_batch
from models.training.checkpoint import TrainingCheckpoint
from models.training.config import TrainingConfig
from models.training.examples.lists import Lists
from models.training.examples.negative_sampling import NegativeSampler
from models.training.examples.usable_lists import expect_labels
from models.training.export import ONNX, weight_writer
from models.training.folders import Trained, TrainingFolders
from models.training.lineage import already_trained, hash_of, hash_of_data, hash_of_training_code
from models.training.loop import Fitted, Progress, fit
from models.training.metrics import quality
from models.training.ranker_config import RankerTraining
from models.training.recipes import Recipe, distilled_recipe, ranker_recipe, reranker_recipe
from models.training.scoring import score
from models.training.splits import Splits
from models.training.standardising import standardise


class Trainer:
    """Trains those models of a pipeline that are out of date."""

    def __init__(
        self, config: TrainingConfig, features: FeatureSet, folders: TrainingFolders, progress: Progress
    ) -> None:
        """Open the catalogue and the overlay.

        Raises:
            ArtifactError: catalogue or overlay cannot be used.
        """
        self._config = config
        self._features = features
        self._folders = folders
        self._progress = progress
        self._catalogue = Catalogue.open(folders.catalogue)
        mixed = "bf16" if config.precision == "bfloat16" else "no"
        self._accelerator = Accelerator(mixed_precision=mixed)
        self._splits = Splits(config, features, folders, self._catalogue)

    def run(self, *, force: bool = False) -> list[Trained]:
        """Train the models that are out of date. Each artifact is written atomically.

        Args:
            force: train all models, and ignore checkpoints.

        Raises:
            ArtifactError: the data do not exist, or were made with other feature definitions.
            TrainingError: the configuration names an unknown feature, or the data or the loss are not finite.
        """
        config, folders, features, catalogue = self._config, self._folders, self._features, self._catalogue
        if not isinstance(config.ranker, RankerTraining):
            raise TrainingError(
                f"training.ranker.kind: expected history, got {config.ranker.kind}; train it with its own trainer"
            )
        reads = config.ranker
        torch.set_num_threads(config.threads)
        made_from = {
            "data": hash_of_data(folders.read),
            "features": features.content_hash,
            "code": hash_of_training_code(),
            "seed": config.seed,
            "precision": config.precision,
            "lists": config.model_dump(
                mode="json", include={"over_catalogue", "max_train_lists", "max_valid_lists", "unknown_share"}
            ),
        }
        recipe = ranker_recipe(reads, folders.ranker, features, catalogue, self._splits.labelled)
        ranker = self._make(recipe, made_from, force)
        return [ranker, *(self._make(r, made_from, force) for r in self._after(ranker, made_from))]

    def _after(self, ranker: Trained, made_from: dict[str, Any]) -> list[Recipe]:
        """Return recipes for the models that learn from the ranker's scores."""
        config, folders = self._config, self._folders
        made_from["ranker"] = ranker.artifact.version
        reads = HistoryRankerOptions.model_validate(ranker.artifact.architecture)
        scored = partial(
            self._splits.scored, ranker.artifact, ranker.root, self._accelerator.device, self._progress
        )
        recipes = []
        if config.reranker is not None and folders.reranker is not None:
            recipes.append(reranker_recipe(config.reranker, folders.reranker, reads, self._catalogue, scored))
        if config.distilled is not None and folders.distilled is not None:
            recipes.append(distilled_recipe(config.distilled, folders.distilled, reads, scored))
        return recipes

    def _make(self, recipe: Recipe, made_from: dict[str, Any], force: bool) -> Trained:
        lineage = {**made_from, "config": recipe.config.model_dump(mode="json")}
        lineage["key"] = hash_of(lineage)
        root = recipe.root
        checkpoint = TrainingCheckpoint(root.with_name(f"{root.name}.training"), lineage["key"])
        if force:
            checkpoint.clear()
        elif (existing := already_trained(root, lineage["key"])) is not None:
            return Trained(existing, root, fresh=False)
        options = recipe.options().model_dump(mode="json")
        started_s = time.monotonic()
        torch.manual_seed(self._config.seed)
        module = build_architecture(options)
        signature = module.signature(self._features.content_hash)
        assembler = InputAssembler(
            signature, self._catalogue, whole_lists=True, timelines=self._splits.timelines
        )
        train = Lists(*recipe.read("train", recipe.fit.max_lists), assembler)
        valid = Lists(*recipe.read("valid", None), assembler)
        if (over := self._config.over_catalogue) is not None:
            train = replace(train, sampler=NegativeSampler(len(self._catalogue), over.negatives))
        select, report = (valid.subset(part) for part in np.array_split(np.arange(len(valid)), 2))
        expect_labels(train=train.labels, selection=select.labels, report=report.labels)
        standardise(module, train, self._config.seed)
        fitted = fit(
            module,
            train,
            select,
            recipe.fit,
            loss_of=recipe.loss_of,
            seed=self._config.seed,
            what=recipe.name,
            progress=self._progress,
            accelerator=self._accelerator,
            checkpoint=checkpoint,
        )
        metrics = self._metrics(score(module, report), report)
        module.cpu()
        golden = InputAssembler(signature, self._catalogue, timelines=self._splits.timelines)(
            golden_batch(report.batch)
        )
        lineage["training"] = _account(fitted, train, select, report, started_s)
        if self._accelerator.is_main_process:
            write_artifact(
                root,
                name=recipe.name,
                signature=signature,
                weights=ONNX,
                write_files=weight_writer(module, signature, golden),
                architecture=options,
                metrics=metrics,
                lineage=lineage,
            )
            checkpoint.clear()
        self._accelerator.wait_for_everyone()
        return Trained(Artifact.load(root), root, fresh=True)

    def _metrics(self, scores: NDArray[np.float32], lists: Lists) -> dict[str, float]:
        """Return the quality of the model's order and, with prefixes, of reference orders over the same lists.

        The references are a random order, the popularity, and the ranker's order if the lists have its scores.
        """
        batch, labels = lists.batch, lists.labels
        random = np.random.default_rng(self._config.seed).random(batch.candidate_count, dtype=np.float32)
        orders = {"": scores, "random_": random}
        if self._config.reference is not None:
            orders["popularity_"] = item_column(
                self._config.reference, batch, self._catalogue, self._splits.timelines
            )
        if "score" in batch.candidates:
            orders["ranker_"] = batch.candidates["score"]
        metrics: dict[str, float] = {}
        for prefix, order in orders.items():
            metrics |= quality(order, labels, batch.offsets, prefix)
        return metrics


def _account(fitted: Fitted, train: Lists, select: Lists, report: Lists, started_s: float) -> dict[str, Any]:
    return {
        "steps": fitted.steps,
        "selection_ndcg_at_10": fitted.selection_ndcg,
        "lists": {"train": len(train), "selection": len(select), "report": len(report)},
        "wall_s": round(time.monotonic() - started_s, 1),
    }
