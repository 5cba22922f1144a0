"""Synthetic queries with their relevance as impressions, by which a compressed text ranker is measured and tuned."""

import numpy as np

from models.features.catalogue import Catalogue
from models.impressions import write_impressions
from models.ragged import RaggedArray, RaggedBatch, offsets_of
from walks.text.queries import QuerySet, Walkers
from walks.world import World

QUERY = "context.query"
TRAIN, VALID = (1000, 8), (400, 20)
"""The number of queries, and the number of routes for each.

Half of the validation lists judge a compressed model. On 200 lists the 95% interval of NDCG@10 is 0.03 to each side.
"""


def batch_of(queries: QuerySet) -> RaggedBatch:
    """Return the queries as requests, with their routes as candidates."""
    texts = [query.encode() for query in queries.queries]
    lengths = np.array([len(text) for text in texts])
    column = RaggedArray(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(lengths))
    offsets = offsets_of(np.full(len(texts), queries.rows.shape[1]))
    return RaggedBatch(offsets, queries.rows.reshape(-1), requests={QUERY: column})


def write_query_lists(world: World, feature_hash: str, seed: int) -> None:
    """Write the splits ``train`` and ``valid`` for a built world.

    The queries and routes of ``valid`` are held out, as in the evaluation of the text ranker.

    Args:
        world: the built world.
        feature_hash: the content hash of its feature definitions.
        seed: the seed of the queries. It differs from the seed of the training.

    Raises:
        ModelError: the world's catalogue cannot be used.
    """
    catalogue = Catalogue.open(world.catalogue)
    walkers = Walkers(catalogue)
    for split, (count, routes) in (("train", TRAIN), ("valid", VALID)):
        queries = walkers.ask(count, routes, held_out=split == "valid", seed=seed)
        batch = batch_of(queries)
        write_impressions(
            world.queries(split),
            batch,
            queries.relevance.reshape(-1),
            feature_hash=feature_hash,
            keys=catalogue.keys[batch.rows],
        )
