"""A small synthetic world with the walks' schema: items with attributes, and users with tastes."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.architectures.base import Architecture
from models.architectures.history_ranker import HistoryRanker
from models.architectures.hyper_ranker import HyperRanker
from models.architectures.listwise import ListwiseReranker
from models.architectures.options import (
    Distance,
    HistoryRankerOptions,
    HyperRankerOptions,
    ListwiseOptions,
    PooledRankerOptions,
    RankerReads,
    ScalarColumn,
)
from models.architectures.pooled_ranker import PooledRanker
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.impressions import write_impressions
from models.ragged import Column, RaggedArray, RaggedBatch, offsets_of
from models.served_log.kinds import FeedbackConfig

Model = TypeVar("Model", bound=Architecture)

ITEMS = 60
ATTRIBUTES = 4
PROFILE = 3
LONGEST_HISTORY = 8

FEATURES = FeatureSet(
    features=(
        Feature(name="attributes", group="item", shape=(ATTRIBUTES,)),
        Feature(name="start", group="item", shape=(2,)),
        Feature(name="popularity", group="item"),
        Feature(name="profile", group="user", shape=(PROFILE,)),
        Feature(name="history", group="user", dtype="int64", ragged=True, max_length=LONGEST_HISTORY),
        Feature(name="history_rating", group="user", ragged=True, max_length=LONGEST_HISTORY),
        Feature(name="history_age_days", group="user", ragged=True, max_length=LONGEST_HISTORY),
        Feature(name="position", group="context", shape=(2,)),
        Feature(name="hour", group="context"),
        Feature(name="rain_mm", group="context"),
    )
)
FEEDBACK = FeedbackConfig(kinds={"opened": 0.25, "walked": 0.5, "rated": (0.5, 1.0)})
CONTEXT = (
    ScalarColumn(name="hour", encoding="cyclic", period=24),
    ScalarColumn(name="rain_mm", encoding="log"),
)
RANKER = HistoryRankerOptions(
    items={"attributes": (ATTRIBUTES,), "popularity": ()},
    context=CONTEXT,
    profile=("profile", (PROFILE,)),
    history_values=(
        ScalarColumn(name="history_rating"),
        ScalarColumn(name="history_age_days", encoding="log"),
    ),
    distances=(Distance(origin="context.position", place="start"),),
    width=16,
    heads=2,
    hidden=24,
)
POOLED = PooledRankerOptions(**RANKER.model_dump(include=set(RankerReads.model_fields)), width=8, hidden=12)
HYPER = HyperRankerOptions(
    **RANKER.model_dump(include=set(RankerReads.model_fields)), pooled=8, width=6, hidden=5
)
RERANKER = ListwiseOptions(
    **RANKER.model_dump(include=set(RankerReads.model_fields)), width=16, heads=2, layers=1, hidden=24
)


def make_catalogue(root: Path) -> Catalogue:
    """Write and open a catalogue of ITEMS items."""
    random = np.random.default_rng(3)
    write_catalogue(
        root,
        name="small",
        version="1",
        features=FEATURES,
        ids=[f"item-{number}" for number in range(ITEMS)],
        columns={
            "attributes": random.normal(size=(ITEMS, ATTRIBUTES)).astype(np.float32),
            "start": (60.0 + 0.1 * random.random((ITEMS, 2))).astype(np.float32),
            "popularity": random.random(ITEMS, dtype=np.float32),
        },
        details=[b"{}"] * ITEMS,
    )
    return Catalogue.open(root)


def make_batch(lengths: list[int], past: list[int], seed: int = 0) -> RaggedBatch:
    """Return requests with these candidate counts and history lengths.

    About 1 in 11 history items is unknown.
    """
    random = np.random.default_rng(seed)
    offsets, count = offsets_of(np.array(lengths, dtype=np.int64)), len(lengths)
    past_offsets = offsets_of(np.array(past, dtype=np.int64))
    total = int(past_offsets[-1])
    keys = [item_key(f"item-{number}") for number in random.integers(0, ITEMS + ITEMS // 10, total)]
    requests: dict[str, Column] = {
        "user.profile": random.normal(size=(count, PROFILE)).astype(np.float32),
        "user.history": RaggedArray(np.array(keys, dtype=np.int64), past_offsets),
        "user.history_rating": RaggedArray(random.random(total, dtype=np.float32), past_offsets),
        "user.history_age_days": RaggedArray(30 * random.random(total, dtype=np.float32), past_offsets),
        "context.position": (60.0 + 0.1 * random.random((count, 2))).astype(np.float32),
        "context.hour": 24 * random.random(count, dtype=np.float32),
        "context.rain_mm": random.random(count, dtype=np.float32),
    }
    rows = random.integers(0, ITEMS, int(offsets[-1]))
    scores = random.normal(size=len(rows)).astype(np.float32)
    return RaggedBatch(offsets=offsets, rows=rows, requests=requests, candidates={"score": scores})


def make_ranker(seed: int = 0) -> HistoryRanker:
    """Return a ranker with random weights, large enough that every input affects its scores."""
    return with_random_weights(HistoryRanker(RANKER), seed)


def make_pooled(seed: int = 0) -> PooledRanker:
    """Return a pooled ranker with random weights."""
    return with_random_weights(PooledRanker(POOLED), seed)


def make_hyper(seed: int = 0) -> HyperRanker:
    """Return a hyper ranker with random weights."""
    return with_random_weights(HyperRanker(HYPER), seed)


def make_reranker(seed: int = 0) -> ListwiseReranker:
    """Return a reranker with random weights.

    A new one adds 0 to the scores.
    """
    return with_random_weights(ListwiseReranker(RERANKER), seed)


def make_impressions(root: Path, catalogue: Catalogue, lists: int, seed: int = 0) -> None:
    """Write lists in which the item that fits the user's profile best has label 1."""
    random = np.random.default_rng(seed)
    lengths = random.integers(5, 12, lists).tolist()
    batch = make_batch(lengths, random.integers(0, LONGEST_HISTORY, lists).tolist(), seed)
    tastes = np.repeat(_profiles(batch), lengths, axis=0)
    fit = (catalogue.columns["attributes"][batch.rows, :PROFILE] * tastes).sum(axis=1)
    labels = np.zeros(batch.candidate_count, dtype=np.float32)
    for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        labels[start + int(np.argmax(fit[start:end]))] = 1.0
    keys = catalogue.keys[batch.rows]
    batch = RaggedBatch(offsets=batch.offsets, rows=batch.rows, requests=batch.requests)
    write_impressions(root, batch, labels, feature_hash=FEATURES.content_hash, keys=keys)


def _profiles(batch: RaggedBatch) -> NDArray[Any]:
    profile = batch.requests["user.profile"]
    assert isinstance(profile, np.ndarray)
    return profile


def with_random_weights(model: Model, seed: int) -> Model:
    """Return the model with random weights, large enough that every input affects its output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.eval()
    return model
