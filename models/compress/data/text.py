"""Lists of queries and items with their relevance, for a text ranker, which reads no other features."""

from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.atomic_directory import settled
from models.compress.data.base import Call
from models.compress.data.halves import half_of
from models.compress.data.runtime_scores import finite_scores, runtime_of, scores_alone
from models.compress.data.score_cache import ScoreCache
from models.compress.data.users import users_of_report
from models.compress.quality import Labels, Scores
from models.compress.steps.base import Model, Split
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.ragged import RaggedBatch, offsets_of
from models.runtimes import load_runtime
from models.signature import Signature
from models.text.list_inputs import PairAssembler
from models.text.scorer import PairScorer, TextConfig
from models.training.examples.lists import Lists
from models.training.examples.usable_lists import thinned, without_unknown_items
from models.training.lineage import hash_of, hash_of_data
from models.training.loop import Progress
from models.training.splits import Labelled

_LISTS_AT_ONCE = 16


class TextData:
    """The lists of a text ranker: impressions ``train`` and ``valid`` with a query for each list."""

    def __init__(
        self,
        folder: Path,
        feature_hash: str,
        catalogue: Path,
        original: Model,
        *,
        cache: Path,
        progress: Progress,
        seed: int = 1,
        max_report_lists: int | None = None,
    ) -> None:
        """Open the catalogue. The lists are read when they are first needed.

        Args:
            folder: the impressions.
            feature_hash: the content hash of the feature definitions.
            catalogue: the items, whose details have the texts.
            original: the model to compress. It has the tokenizer.
            cache: folder for models' scores.
            progress: called with the progress of scoring.
            seed: the seed of the requests.
            max_report_lists: the largest number of report lists. None uses all.

        Raises:
            ArtifactError: the catalogue cannot be used.
        """
        self._folder, self._feature_hash, self._root = folder, feature_hash, original.root
        self._progress, self._seed, self._most = progress, seed, max_report_lists
        self._cache_folder, self._catalogue_folder = cache, catalogue
        self.catalogue = Catalogue.open(catalogue)
        self._read: dict[str, Labelled] = {}

    @cached_property
    def key(self) -> str:
        """A hash of the lists, the texts and the tokenizer. The number of report lists is not part of it."""
        folders = [settled(self._folder), settled(self._catalogue_folder)]
        tokenizer = {
            name: digest
            for name, digest in Artifact.read(self._root).files.items()
            if name.startswith("tokenizer")
        }
        return hash_of({"data": hash_of_data(folders), "tokenizer": tokenizer})

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Return a split's lists. See ``Data.lists``."""
        batch, labels = self._labelled(split, limit)
        return Lists(batch, labels, PairAssembler(self._root, signature, self.catalogue))

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Return a split's lists with a teacher's scores. See ``Data.taught``."""
        batch, labels = self._labelled(split, limit)
        scores = finite_scores(self._scores(teacher, split, limit), teacher)
        assembler = PairAssembler(self._root, signature, self.catalogue)
        return Lists(batch.adding(candidates={"score": scores}), labels, assembler)

    def labels(self) -> Labels:
        """Return the labels of the report lists, and their users if ``user.npy`` has them."""
        batch, labels = self._labelled("report", None)
        return Labels(labels, batch.offsets, self._users)

    def scores(self, model: Model) -> Scores:
        """Return a model's scores (N,) of the report lists. See ``RecipeData.scores``."""
        return self._scores(model, "report", None)

    def requests(self, signature: Signature, candidates: int, count: int) -> list[Call]:
        """Return requests with queries of the report lists and items drawn at random. A request takes several calls."""
        batch, _ = self._labelled("report", None)
        random = np.random.default_rng(self._seed)
        scorer = PairScorer(self._root, signature, self.catalogue, TextConfig())
        made: list[Call] = []
        for query in random.integers(0, len(batch), count):
            rows = random.integers(0, len(self.catalogue), candidates)
            one = batch.take(np.array([query])).requests
            request = RaggedBatch(offsets=offsets_of(np.array([candidates])), rows=rows, requests=one)
            made.append([micro.inputs for micro in scorer.micro_batches(request)])
        return made

    def _labelled(self, split: Split, limit: int | None) -> Labelled:
        if split == "train":
            return thinned(*self._whole("train"), limit)
        return thinned(*half_of(self._whole("valid"), split, self._most), limit)

    def _whole(self, name: str) -> Labelled:
        if name not in self._read:
            batch, labels = read_impressions(
                self._folder / name, feature_hash=self._feature_hash, keys_to_rows=self.catalogue.rows_of_keys
            )
            self._read[name] = without_unknown_items(batch, labels)
        return self._read[name]

    def _scores(self, model: Model, split: Split, limit: int | None) -> Scores:
        batch, _ = self._labelled(split, limit)
        return self._cache.scores(
            model,
            f"{split} {self._most if split == 'report' else limit}",
            batch.candidate_count,
            partial(self._computed, model, batch, f"scoring the {split} lists"),
        )

    def _computed(self, model: Model, batch: RaggedBatch, what: str) -> Scores:
        signature = model.artifact.signature
        runtime = load_runtime(settled(model.root), model.artifact, runtime_of(model.artifact))
        scorer = PairScorer(self._root, signature, self.catalogue, TextConfig())
        parts, at_once = [], 1 if scores_alone(model) else _LISTS_AT_ONCE
        for first in range(0, len(batch), at_once):
            last = min(first + at_once, len(batch))
            parts.append(scorer.scores(batch.between(first, last), signature.outputs[0].name, runtime))
            self._progress(what, last, len(batch))
        return np.concatenate(parts)

    @cached_property
    def _users(self) -> NDArray[np.int64] | None:
        return users_of_report(
            self._folder / "valid",
            feature_hash=self._feature_hash,
            keys_to_rows=self.catalogue.rows_of_keys,
            expected=len(self._labelled("report", None)[0]),
            most_report=self._most,
        )

    @cached_property
    def _cache(self) -> ScoreCache:
        return ScoreCache(self._cache_folder, self.key)
