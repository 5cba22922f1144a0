"""From a data set to artifacts: the ranker, then the reranker over the ranker's scored lists."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.architectures import build_architecture
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.training.config import FitConfig, RankerTraining, RerankerTraining, TrainingConfig
from models.training.export import ONNX, SAFETENSORS, weight_writer
from models.training.lineage import already_trained, hash_of, hash_of_code, hash_of_data
from models.training.lists import Lists, in_memory, thinned, without_unknown_items
from models.training.loop import Progress, fit, score
from models.training.metrics import quality
from models.training.sizes import listwise_options, ranker_options

STANDARDISED_ON = 4000
"""Training lists that the encoders' constants are taken from."""

Labelled = tuple[RaggedBatch, NDArray[np.float32]]


@dataclass(frozen=True)
class Places:
    """Where things lie: ``data`` holds the impressions ``train`` and ``valid``."""

    catalogue: Path
    data: Path
    ranker: Path
    reranker: Path | None = None


@dataclass(frozen=True)
class Trained:
    """An artifact, and whether it was trained just now or was there already."""

    artifact: Artifact
    root: Path
    fresh: bool


class Trainer:
    """Trains the models of one pipeline; what is unchanged is left as it is."""

    def __init__(
        self, config: TrainingConfig, features: FeatureSet, places: Places, progress: Progress
    ) -> None:
        """Open the catalogue.

        Raises:
            ArtifactError: it cannot be used.
        """
        self._config = config
        self._features = features
        self._places = places
        self._progress = progress
        self._catalogue = Catalogue.open(places.catalogue)
        self._splits: dict[str, Labelled] = {}

    def run(self, *, force: bool = False) -> list[Trained]:
        """Train what is out of date, or all of it with ``force``; each artifact is written whole or not at all.

        Raises:
            ArtifactError: there is no data, or it was made with other feature definitions.
            TrainingError: the configuration names a feature there is not, or the loss is not a number.
        """
        config, places = self._config, self._places
        torch.set_num_threads(config.threads)
        made_from = {
            "data": hash_of_data([places.data, places.catalogue]),
            "features": self._features.content_hash,
            "code": hash_of_code(),
            "seed": config.seed,
        }
        ranker = self._ranker(config.ranker, places.ranker, made_from, force)
        if config.reranker is None or places.reranker is None:
            return [ranker]
        made_from["ranker"] = ranker.artifact.version
        return [ranker, self._reranker(config.reranker, places.reranker, made_from, ranker, force)]

    def _ranker(self, config: RankerTraining, root: Path, made_from: dict[str, Any], force: bool) -> Trained:
        lineage = _lineage(made_from, config)
        if (known := None if force else already_trained(root, lineage["key"])) is not None:
            return Trained(known, root, fresh=False)
        options = ranker_options(config, self._features, self._catalogue)
        return self._train("ranker", root, options.model_dump(mode="json"), config.fit, self._split, lineage)

    def _reranker(
        self, config: RerankerTraining, root: Path, made_from: dict[str, Any], ranker: Trained, force: bool
    ) -> Trained:
        lineage = _lineage(made_from, config)
        if (known := None if force else already_trained(root, lineage["key"])) is not None:
            return Trained(known, root, fresh=False)
        options = listwise_options(config, self._features, self._catalogue)
        module = build_architecture(ranker.artifact.architecture)
        module.load_state_dict(load_file(ranker.root / SAFETENSORS))
        assembler = InputAssembler(ranker.artifact.signature, self._catalogue, whole_lists=True)

        def scored(name: str) -> Labelled:
            batch, labels = self._split(name)
            what, total = f"scoring the {name} lists", len(batch)
            scores = score(
                module, Lists(batch, labels, assembler), lambda at: self._progress(what, at, total)
            )
            return batch.adding(candidates={"score": scores}), labels

        return self._train("reranker", root, options.model_dump(mode="json"), config.fit, scored, lineage)

    def _train(
        self,
        name: str,
        root: Path,
        options: dict[str, Any],
        config: FitConfig,
        read: Callable[[str], Labelled],
        lineage: dict[str, Any],
    ) -> Trained:
        started = time.monotonic()
        seed = self._config.seed
        torch.manual_seed(seed)
        module = build_architecture(options)
        signature = module.signature(self._features.content_hash)
        assembler = InputAssembler(signature, self._catalogue, whole_lists=True)
        train, valid = (Lists(*read(split), assembler) for split in ("train", "valid"))
        select, report = (valid.subset(part) for part in np.array_split(np.arange(len(valid)), 2))
        some = np.random.default_rng(seed).permutation(len(train))[:STANDARDISED_ON]
        sample = train.step(some)
        module.standardise({**sample.inputs, "present": sample.present})
        fitted = fit(module, train, select, config, seed=seed, what=name, progress=self._progress)
        module.cpu()
        metrics = {
            **quality(score(module, report), report.labels, report.batch.offsets),
            **self._references(report),
        }
        lineage["training"] = {
            "steps": fitted.steps,
            "selection_ndcg_at_10": fitted.selection_ndcg,
            "lists": {"train": len(train), "selection": len(select), "report": len(report)},
            "wall_s": round(time.monotonic() - started, 1),
        }
        artifact = write_artifact(
            root,
            name=name,
            signature=signature,
            weights=ONNX,
            write_files=weight_writer(module, signature),
            architecture=options,
            metrics=metrics,
            lineage=lineage,
        )
        return Trained(artifact, root, fresh=True)

    def _split(self, name: str) -> Labelled:
        """Read the impressions of "train" or "valid", without what cannot be learned from."""
        if name not in self._splits:
            batch, labels = read_impressions(
                self._places.data / name,
                feature_hash=self._features.content_hash,
                keys_to_rows=self._catalogue.rows_of_keys,
            )
            limits = {"train": self._config.max_train_lists, "valid": self._config.max_valid_lists}
            self._splits[name] = without_unknown_items(*thinned(in_memory(batch), labels, limits[name]))
        return self._splits[name]

    def _references(self, lists: Lists) -> dict[str, float]:
        """Give the quality of orders that need no training, on the same lists."""
        batch = lists.batch
        random = np.random.default_rng(self._config.seed).random(batch.candidate_count, dtype=np.float32)
        found = quality(random, lists.labels, batch.offsets, "random_")
        if self._config.reference is not None:
            popularity = self._catalogue.columns[self._config.reference].take(batch.rows)
            found |= quality(popularity, lists.labels, batch.offsets, "popularity_")
        if "score" in batch.candidates:
            found |= quality(batch.candidates["score"], lists.labels, batch.offsets, "ranker_")
        return found


def _lineage(made_from: dict[str, Any], config: RankerTraining | RerankerTraining) -> dict[str, Any]:
    lineage = {**made_from, "config": config.model_dump(mode="json")}
    return {**lineage, "key": hash_of(lineage)}
