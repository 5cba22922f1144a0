"""Baselines over an event log, fitted on the training period. Each baseline receives the same past as the ranker.

Item-kNN and the matrix factorisation come from the ``implicit`` library (Hu, Koren and Volinsky 2008,
doi:10.1109/ICDM.2008.22, for ALS). A user's factors are computed again from the past at each moment. EASE is a linear
item-to-item model in closed form (Steck 2019, arXiv:1905.03375).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.ranking.results import Ranking
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch

DAY_S = 86_400.0
MATRIX = csr_matrix


@dataclass(frozen=True)
class Fitting:
    """The training period's events.

    Attributes:
        user: int64 (E,) user numbers.
        row: int64 (E,) the chosen items' catalogue rows.
        at_s: float64 (E,) epoch seconds.
    """

    catalogue: Catalogue
    user: NDArray[np.int64]
    row: NDArray[np.int64]
    at_s: NDArray[np.float64]

    def matrix(self) -> MATRIX:
        """Return a matrix, users by items, with 1 if a user chose the item."""
        pairs = np.unique(self.user * len(self.catalogue) + self.row)
        users, rows = np.divmod(pairs, len(self.catalogue))
        shape = (int(users.max()) + 1, len(self.catalogue))
        return csr_matrix((np.ones(len(pairs), dtype=np.float32), (users, rows)), shape=shape)


@dataclass(frozen=True)
class Candidate:
    """A baseline with one of the settings that are searched."""

    name: str
    setting: dict[str, Any]
    rank: Ranking


def past_of(batch: RaggedBatch, catalogue: Catalogue, newest: int | None) -> MATRIX:
    """Return the batch's pasts, (B, I): 1 for past items that the catalogue has, otherwise 0.

    Only the ``newest`` items of each past are read, or all if it is None.
    """
    past = batch.requests["user.history"]
    assert isinstance(past, RaggedArray)
    lengths = np.diff(past.offsets)
    rows = catalogue.rows_of_keys(past.values)
    age = np.repeat(past.offsets[1:], lengths) - np.arange(len(rows))  # 1 for the newest
    is_counted = (rows >= 0) & (age <= (newest or np.iinfo(np.int64).max))
    request = np.repeat(np.arange(len(batch)), lengths)[is_counted]
    ones = np.ones(len(request), dtype=np.float32)
    return csr_matrix((ones, (request, rows[is_counted])), shape=(len(batch), len(catalogue)))


def popularity(fitting: Fitting) -> Iterator[Candidate]:
    """Yield orders by how often an item was chosen, in the whole training period or in its last days."""
    end_s = float(fitting.at_s.max())
    for days in (None, 90, 30, 7):
        late = fitting.at_s > end_s - days * DAY_S if days else np.ones(len(fitting.row), dtype=np.bool_)
        counts = np.bincount(fitting.row[late], minlength=len(fitting.catalogue)).astype(np.float32)
        yield Candidate("popularity", {"days": days}, partial(_by_column, column=counts))


def _by_column(batch: RaggedBatch, column: NDArray[np.float32]) -> NDArray[np.float32]:
    return column[batch.rows]


def most_bought(fitting: Fitting) -> Iterator[Candidate]:
    """Yield orders that begin with the user's own past items, the most frequent or the latest first.

    The other items follow by popularity.
    """
    counts = np.bincount(fitting.row, minlength=len(fitting.catalogue)).astype(np.float32)
    share = counts / (counts.max() + 1.0)

    def rank(batch: RaggedBatch, by: str) -> NDArray[np.float32]:
        past, values = batch.requests["user.history"], batch.requests[f"user.{by}"]
        assert isinstance(past, RaggedArray) and isinstance(values, RaggedArray)
        rows = fitting.catalogue.rows_of_keys(past.values)
        own = np.zeros((len(batch), len(fitting.catalogue)), dtype=np.float32)
        request = np.repeat(np.arange(len(batch)), np.diff(past.offsets))
        own[request, rows] = values.values if by == "history_count" else 1.0 + 1.0 / (1.0 + values.values)
        return np.asarray(own[batch.request_of(), batch.rows] + share[batch.rows])

    for by in ("history_count", "history_rank"):
        yield Candidate("own most chosen", {"by": by}, partial(rank, by=by))


def _fit(model: Any, matrix: MATRIX) -> None:
    """Fit a model from implicit without its warning, which is about a conversion inside implicit."""
    from implicit.utils import ParameterWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)
        model.fit(matrix, show_progress=False)


def item_knn(fitting: Fitting) -> Iterator[Candidate]:
    """Yield orders by the sum of an item's similarities to the past items, among each item's nearest neighbours."""
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    matrix = fitting.matrix()
    for kind in (CosineRecommender, BM25Recommender):
        for neighbours in (50, 200, 1000):
            model = kind(K=neighbours)
            _fit(model, matrix)
            similar = csr_matrix(model.similarity)
            for newest in (1, 5, 20, None):
                setting = {"similarity": kind.__name__, "neighbours": neighbours, "newest": newest}

                def rank(batch: RaggedBatch, similar: MATRIX = similar, newest: int | None = newest) -> Any:
                    scores = past_of(batch, fitting.catalogue, newest) @ similar
                    return scores.toarray()[batch.request_of(), batch.rows].astype(np.float32)

                yield Candidate("item-kNN", setting, rank)


def matrix_factorisation(fitting: Fitting, seed: int) -> Iterator[Candidate]:
    """Yield ALS models for implicit feedback."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    matrix = fitting.matrix()
    for factors in (32, 64, 128):
        for regularization in (0.1, 1.0, 10.0):
            with threadpool_limits(1, "blas"):  # implicit uses its own threads
                model = AlternatingLeastSquares(
                    factors=factors, regularization=regularization, iterations=15, random_state=seed
                )
                _fit(model, matrix)
            for newest in (5, 20, None):
                setting = {"factors": factors, "regularization": regularization, "newest": newest}

                def rank(batch: RaggedBatch, model: Any = model, newest: int | None = newest) -> Any:
                    past = past_of(batch, fitting.catalogue, newest)
                    users = model.recalculate_user(np.arange(len(batch)), past)
                    scores = users @ model.item_factors.T
                    return scores[batch.request_of(), batch.rows].astype(np.float32)

                yield Candidate("ALS", setting, rank)


def ease(fitting: Fitting) -> Iterator[Candidate]:
    """Yield orders by the sum of the learned weights from the past items to an item."""
    matrix = fitting.matrix()
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    for penalty in (100.0, 300.0, 1000.0):
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        weights = (inverse / -np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(weights, 0.0)
        for newest in (1, 5, 20, None):

            def rank(
                batch: RaggedBatch, weights: NDArray[np.float32] = weights, newest: int | None = newest
            ) -> NDArray[np.float32]:
                scores = past_of(batch, fitting.catalogue, newest) @ weights
                return np.asarray(scores[batch.request_of(), batch.rows])

            yield Candidate("EASE", {"penalty": penalty, "newest": newest}, rank)
