"""Embeddings for a world's texts: route summaries and news."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.data.features import EMBEDDING, NEWS_EMBEDDING
from walks.simulation.people import INTERESTS, WORDINGS
from walks.text.minilm import Encoder, Reduction


@dataclass(frozen=True)
class TextVectors:
    """Vectors for R routes and K pieces of news."""

    routes: NDArray[np.float32]  # (R, EMBEDDING) unit vectors: the catalogue's column
    news: NDArray[np.float32]  # (K, NEWS_EMBEDDING) unit vectors: the overlay's column
    wording: NDArray[np.float32]  # (R, WORDINGS) the route embeddings' leading dimensions
    speaks_of: NDArray[np.float32]  # (R, INTERESTS) cosine between each summary and each interest's sentence


def read_texts(encoder: Encoder, summaries: Sequence[str], news: Sequence[str]) -> TextVectors:
    """Encode all texts. Routes and news are each reduced by their own principal components."""
    routes, news_vectors, interests = encoder(summaries), encoder(news), encoder(list(INTERESTS.values()))
    reduce_routes, reduce_news = Reduction.fit(routes, EMBEDDING), Reduction.fit(news_vectors, NEWS_EMBEDDING)
    return TextVectors(
        routes=reduce_routes(routes),
        news=reduce_news(news_vectors),
        wording=reduce_routes.project(routes)[:, :WORDINGS],
        speaks_of=routes @ interests.T,
    )
