"""The lists of a pipeline with a part ``training:``, split, completed and thinned as in its training."""

from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.compress.data.base import Call
from models.compress.data.halves import half_of
from models.compress.data.runtime_scores import finite_scores, runtime_scores
from models.compress.data.score_cache import ScoreCache
from models.compress.data.users import users_of_report
from models.compress.quality import Labels, Scores
from models.compress.steps.base import Model, Split
from models.errors import ArtifactError, CompressionError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.ragged import RaggedBatch, offsets_of
from models.signature import Signature
from models.training.config import TrainingConfig
from models.training.examples.lists import Lists
from models.training.examples.negative_sampling import NegativeSampler
from models.training.examples.usable_lists import thinned
from models.training.folders import TrainingFolders
from models.training.lineage import hash_of, hash_of_data
from models.training.loop import Progress
from models.training.splits import Labelled, Splits

_RANKER_SCORE = "candidate.score"
_TEACHER = "teacher"


class PipelineData:
    """The lists of a pipeline."""

    def __init__(
        self,
        config: TrainingConfig,
        features: FeatureSet,
        folders: TrainingFolders,
        *,
        cache: Path,
        progress: Progress,
        max_report_lists: int | None = None,
    ) -> None:
        """Open the catalogue. The lists are read when they are first needed.

        Args:
            config: the part ``training:``.
            features: the feature definitions.
            folders: the data. ``folders.ranker`` gives rerankers the scores that they read.
            cache: folder for models' scores.
            progress: called with the progress of scoring.
            max_report_lists: the largest number of report lists. None uses all.

        Raises:
            ArtifactError: the catalogue or the overlay cannot be used.
        """
        self._config = config
        self._features = features
        self._folders = folders
        self._cache_folder = cache
        self._progress = progress
        self._most = max_report_lists
        self.catalogue = Catalogue.open(folders.catalogue)
        self._splits = Splits(config, features, folders, self.catalogue)

    @cached_property
    def key(self) -> str:
        """A hash of the data, the feature definitions, the choice of lists, and the ranker that scores them.

        The number of report lists is not part of it, because no step reads them.
        """
        chosen = {"over_catalogue", "max_train_lists", "max_valid_lists", "unknown_share", "seed"}
        parts = {
            "data": hash_of_data([settled(folder) for folder in self._folders.read]),
            "features": self._features.content_hash,
            "lists": self._config.model_dump(mode="json", include=chosen),
            "ranker": self._ranker_version(),
        }
        return hash_of(parts)

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Return a split's lists as in training. See ``Data.lists``."""
        batch, labels = self._scored(split, signature, limit)
        lists = Lists(batch, labels, self._assembler(signature, whole_lists=True))
        over = self._config.over_catalogue
        if split == "train" and over is not None:
            lists = replace(lists, sampler=NegativeSampler(len(self.catalogue), over.negatives))
        return lists

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Return a split's lists with a teacher's scores. See ``Data.taught``.

        A student that reads the ranker's scores finds these in "score", and the teacher's in "teacher".
        """
        if self._config.over_catalogue is not None:
            raise CompressionError(
                "training.over_catalogue: its negatives are drawn at each step and have no scores of a teacher; use "
                "steps that learn from labels"
            )
        lists = self.lists(split, signature, limit)
        scores = finite_scores(self._scores(teacher, split, limit), teacher)
        column = _TEACHER if _RANKER_SCORE in signature.columns else "score"
        return replace(lists, batch=lists.batch.adding(candidates={column: scores}))

    def labels(self) -> Labels:
        """Return the labels of the report lists, and their users if ``user.npy`` has them."""
        batch, labels = self._labelled("report", None)
        return Labels(labels, batch.offsets, self._users)

    def scores(self, model: Model) -> Scores:
        """Return a model's scores (N,) of the report lists. See ``RecipeData.scores``."""
        return self._scores(model, "report", None)

    def requests(self, signature: Signature, candidates: int, count: int) -> list[Call]:
        """Return requests of the report lists, whose candidates are drawn from those of all lists."""
        batch, _ = self._scored("report", signature, None)
        random = np.random.default_rng(self._config.seed)
        users = random.integers(0, len(batch), count)
        assemble = self._assembler(signature)
        made: list[Call] = []
        for user in users:
            drawn = random.integers(0, batch.candidate_count, candidates)
            one = batch.take(np.array([user]))
            rows = {name: column[drawn] for name, column in batch.candidates.items()}
            request = RaggedBatch(
                offsets=offsets_of(np.array([candidates])),
                rows=batch.rows[drawn],
                requests=one.requests,
                candidates=rows,
            )
            made.append([assemble(request)])
        return made

    def _assembler(self, signature: Signature, *, whole_lists: bool = False) -> InputAssembler:
        return InputAssembler(
            signature, self.catalogue, whole_lists=whole_lists, timelines=self._splits.timelines
        )

    def _labelled(self, split: Split, limit: int | None) -> Labelled:
        if split == "train":
            return self._splits.labelled("train", limit)
        return thinned(*half_of(self._splits.labelled("valid"), split, self._most), limit)

    def _scored(self, split: Split, signature: Signature, limit: int | None) -> Labelled:
        """Return a split, with the ranker's scores if the model reads them."""
        batch, labels = self._labelled(split, limit)
        if _RANKER_SCORE not in signature.columns:
            return batch, labels
        root = self._folders.ranker
        ranker = Model(root, Artifact.load(root, feature_hash=self._features.content_hash))
        return batch.adding(candidates={"score": self._scores(ranker, split, limit)}), labels

    def _scores(self, model: Model, split: Split, limit: int | None) -> Scores:
        signature = model.artifact.signature
        batch, labels = self._scored(split, signature, limit)
        lists, what = Lists(batch, labels, self._assembler(signature)), f"scoring the {split} lists"
        done = partial(self._done, what, len(batch))
        return self._cache.scores(
            model,
            f"{split} {self._most if split == 'report' else limit}",
            len(labels),
            lambda: runtime_scores(model, lists, done),
        )

    def _ranker_version(self) -> str:
        """Return the version of the ranker whose scores rerankers read. Empty without a ranker."""
        try:
            return Artifact.read(self._folders.ranker).version
        except ArtifactError:
            return ""

    def _done(self, what: str, total: int, done: int) -> None:
        self._progress(what, done, total)

    @cached_property
    def _users(self) -> NDArray[np.int64] | None:
        return users_of_report(
            self._folders.data / "valid",
            feature_hash=self._features.content_hash,
            keys_to_rows=self.catalogue.rows_of_keys,
            expected=len(self._labelled("report", None)[0]),
            most_valid=self._config.max_valid_lists,
            most_report=self._most,
            over_catalogue=self._config.over_catalogue is not None,
        )

    @cached_property
    def _cache(self) -> ScoreCache:
        return ScoreCache(self._cache_folder, self.key)
