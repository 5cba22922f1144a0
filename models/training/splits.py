"""The training and validation lists: read, thinned, completed with derived features, and cached."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.architectures import build_architecture
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.overlay import Overlay
from models.features.sent_table import SentTable
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.training.config import TrainingConfig
from models.training.examples.cold_users import some_unknown
from models.training.examples.lists import Lists
from models.training.examples.negative_sampling import over_catalogue
from models.training.examples.usable_lists import (
    expect_numbers,
    in_memory,
    of_catalogue,
    thinned,
    without_unknown_items,
)
from models.training.export import SAFETENSORS
from models.training.folders import TrainingFolders
from models.training.loop import Progress
from models.training.scoring import score

Labelled = tuple[RaggedBatch, NDArray[np.float32]]


class Splits:
    """A data set's splits ``train`` and ``valid``. Each split is read once and cached."""

    def __init__(
        self, config: TrainingConfig, features: FeatureSet, folders: TrainingFolders, catalogue: Catalogue
    ) -> None:
        """Open the overlay and the timelines.

        Raises:
            ArtifactError: the overlay or the timelines cannot be used.
        """
        overlay = None if folders.overlay is None else Overlay.open(folders.overlay, features)
        self._config = config
        self._features = features
        self._data = folders.data
        self._catalogue = catalogue
        self._view = FeatureView(features, catalogue, overlay)
        self.timelines = folders.open_timelines(catalogue)
        """The item columns as of each list's time. None if the data have none."""
        self._read: dict[str, Labelled] = {}
        self._scored: dict[tuple[str, int | None], Labelled] = {}

    def labelled(self, name: str, count: int | None = None) -> Labelled:
        """Return a split with its labels, without lists that cannot be learned from.

        Args:
            name: ``train`` or ``valid``.
            count: maximum number of lists. None returns all.

        Raises:
            ArtifactError: the data do not exist, or were made with other feature definitions.
            TrainingError: the data have values that are not finite.
        """
        if name not in self._read:
            batch, labels = self._lists(name)
            if name == "train":
                batch = some_unknown(batch, self._features, self._config.unknown_share, self._config.seed)
            batch = self._view.completed(batch)
            expect_numbers(f"{name} impressions", batch, labels)
            self._read[name] = batch, labels
        return thinned(*self._read[name], count)

    def scored(
        self,
        ranker: Artifact,
        root: Path,
        device: torch.device,
        progress: Progress,
        name: str,
        count: int | None = None,
    ) -> Labelled:
        """Return a split with a ranker's scores in the candidate column "score".

        Args:
            ranker: the ranker's artifact.
            root: the artifact's folder.
            device: the device that computes the scores.
            progress: called with the number of scored lists.
            name: ``train`` or ``valid``.
            count: maximum number of lists. None returns all.
        """
        if (name, count) not in self._scored:
            module = build_architecture(ranker.architecture)
            module.load_state_dict(load_file(root / SAFETENSORS))
            module.to(device)
            assembler = InputAssembler(
                ranker.signature, self._catalogue, whole_lists=True, timelines=self.timelines
            )
            batch, labels = self.labelled(name, count)
            what, total = f"scoring the {name} lists", len(batch)
            scores = score(module, Lists(batch, labels, assembler), lambda done: progress(what, done, total))
            self._scored[name, count] = batch.adding(candidates={"score": scores}), labels
        return self._scored[name, count]

    def _lists(self, name: str) -> Labelled:
        config = self._config
        batch, labels = read_impressions(
            self._data / name,
            feature_hash=self._features.content_hash,
            keys_to_rows=self._catalogue.rows_of_keys,
        )
        limits = {"train": config.max_train_lists, "valid": config.max_valid_lists}
        batch, labels = thinned(in_memory(batch), labels, limits[name])
        over = config.over_catalogue
        if over is None:
            sent = SentTable.read(settled(self._data / name))
            if sent is None:
                return without_unknown_items(batch, labels)
            batch, labels = without_unknown_items(sent.with_rows(batch), labels)
            return sent.laid_over(batch, self._catalogue), labels
        batch, labels = of_catalogue(batch, labels)
        if name == "train":
            return batch, labels  # negatives are drawn at each step
        return over_catalogue(
            batch, labels, self._catalogue, history=config.ranker.history, repeats=over.repeats
        )
