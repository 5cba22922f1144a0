"""The reranker: a listwise model orders each request's best candidates, then rules and diversity pick the list."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.sent import item_values
from models.padding import mask_of, to_lists
from models.ragged import RaggedBatch, offsets_of
from services.errors import ConfigError
from services.stages.scoring.scorer import ModelScorer
from services.stages.selection.diversity import DiversityConfig, maximal_marginal_relevance
from services.stages.selection.rules import Rules, RulesConfig, within_cap
from services.stages.selection.top_k import best_of_each, best_within_k, first_of_each, keep_where


class RerankerConfig(BaseModel):
    """The model that reranks, the rules, and the diversity.

    Attributes:
        model: the model's name in ``models``.
        output: the model output that is the score.
        best: candidates per request that are reranked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    output: str = "score"
    best: int = Field(default=50, ge=1, le=1000)
    rules: RulesConfig = RulesConfig()
    diversity: DiversityConfig | None = None


class BestStage:
    """The ranker's own order, for pipelines without a reranker."""

    name = "order"
    columns: frozenset[str] = frozenset()

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Keep each request's k best candidates, best first."""
        return best_within_k(batch, "score")


class RuledStage:
    """Orders by "score" under the rules, and keeps at most k items. It is a reranker's fallback."""

    name = "order"

    def __init__(self, rules: Rules, *, has_user_features: bool = True) -> None:
        """Exclude candidates by ``rules``.

        Args:
            rules: the release's rules.
            has_user_features: whether batches have all columns that the rules read. If not, batches have only
                ``columns``, and only the rules that are the same for every user apply.
        """
        self.columns = rules.columns
        self._rules = rules
        self._eligible = rules.eligible if has_user_features else rules.open_items

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Keep each request's k best candidates, best first."""
        eligible = self._eligible(batch)
        eligible_batch = batch if eligible is None else keep_where(batch, eligible)
        return in_order(eligible_batch, self._rules, batch.candidate_count)


class RerankerStage:
    """Orders each request's best candidates with the model, and keeps at most k. "score" becomes the model's score."""

    name = "reranker"

    def __init__(
        self, scorer: ModelScorer, config: RerankerConfig, catalogue: Catalogue, features: FeatureSet
    ) -> None:
        """Rerank with the model in ``scorer``.

        Raises:
            ConfigError: the rules or the diversity name a column or feature that does not exist.
        """
        self.scorer = scorer
        self._config = config
        self._rules = Rules(config.rules, catalogue, features)
        diversity = config.diversity
        self._vectors = None if diversity is None else diversity_vectors(diversity, catalogue)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Rerank every request."""
        eligible = self._rules.eligible(batch)
        if eligible is not None:
            batch = keep_where(batch, eligible)
        best = best_of_each(batch, "score", self._config.best)
        # The model needs at least one candidate. If other requests have candidates, an empty request is only padding.
        scores = (
            self.scorer.scores(best, self._config.output)
            if best.candidate_count
            else best.candidates["score"]
        )
        best = best.adding(candidates={"score": scores, "reranker": scores})
        if self._vectors is None or self._config.diversity is None or not best.candidate_count:
            return in_order(best, self._rules, self._config.best)
        return self._diverse(best, self._vectors, self._config.diversity)

    def _diverse(
        self, best: RaggedBatch, vectors: NDArray[np.float32], diversity: DiversityConfig
    ) -> RaggedBatch:
        offsets = best.offsets
        groups = self._rules.groups(best)
        slots = maximal_marginal_relevance(
            to_lists(best.candidates["score"], offsets),
            to_lists(item_values(best, f"item.{diversity.column}", vectors), offsets),
            mask_of(offsets),
            # Pick no more than the longest requested list.
            self._config.best if best.k is None else int(best.k.max()),
            diversity.relevance_weight,
            None if groups is None else to_lists(groups, offsets),
            self._rules.max_per_group or 1,
        )
        chosen = slots >= 0
        if best.k is not None:
            chosen &= np.arange(slots.shape[1])[None, :] < best.k[:, None]
        return best.keep((slots + offsets[:-1, None])[chosen], offsets_of(chosen.sum(axis=1)))


def in_order(batch: RaggedBatch, rules: Rules, limit: int) -> RaggedBatch:
    """Return each request's k best candidates by "score".

    With a cap, the k are taken from each request's ``limit`` best candidates only.
    """
    if rules.max_per_group is None:
        return best_within_k(batch, "score")
    ordered = best_of_each(batch, "score", limit)
    groups = rules.groups(ordered)
    assert groups is not None
    capped = keep_where(ordered, within_cap(groups, ordered.request_of(), rules.max_per_group))
    return capped if capped.k is None else first_of_each(capped, capped.k)


def diversity_vectors(config: DiversityConfig, catalogue: Catalogue) -> NDArray[np.float32]:
    """Return the catalogue column (items, D) with the vectors by which similarity is measured.

    Raises:
        ConfigError: there is no such column, or its vectors are not finite.
    """
    field = "reranker.diversity.column"
    vectors = catalogue.columns.get(config.column)
    if vectors is None:
        raise ConfigError(
            f"the catalogue has no column {config.column!r}; name one of {', '.join(catalogue.columns)}",
            field=field,
        )
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ConfigError(
            f"column {config.column!r} does not hold finite vectors (items, D), got shape {vectors.shape}; "
            f"name a column with embeddings",
            field=field,
        )
    return vectors
