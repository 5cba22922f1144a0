"""The history cache keeps the scores, changes the key with each event, and bounds its memory and the error in ages."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.architectures.base import Architecture
from models.artifact import write_artifact
from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from models.features.transforms import NOW, Age
from models.ragged import RaggedArray, RaggedBatch
from models.training.export import ONNX, weight_writer
from services.config.loading import load_config
from services.deployment.check import check_artifacts
from services.errors import ConfigError
from services.releases.loading import load_release
from services.stages.scoring.history_cache import FIELD, HistoryCacheConfig, HistoryKeys, LruBytes
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.scorer import ModelConfig, ModelScorer
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_pooled, make_ranker
from tests.pipelines import make_pipeline

TOLERANCE = 1e-5
NOW_S = 1_700_000_000.0
DAY_S = 86_400.0
AGE = Age(of="user.history_at_s", unit_s=DAY_S)
AGED = FeatureSet(
    features=(
        *(f for f in FEATURES.features if f.name != "history_age_days"),
        Feature(name="now_s", group="context", dtype="float64"),
        Feature(name="history_at_s", group="user", dtype="float64", ragged=True, max_length=8),
        Feature(name="history_age_days", group="user", ragged=True, max_length=8, transform=AGE),
    )
)
SHAPES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)), min_size=1, max_size=6)


class Counts:
    """Records look-up results."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()

    def add(self, value: str, count: int = 1) -> None:
        self.totals[value] += count


class World:
    """One ranker, with the cache and without it."""

    def __init__(self, home: Path) -> None:
        self.home, self.catalogue = home, make_catalogue(home / "catalogue")
        write(home, make_ranker())
        self.plain = ModelScorer(ModelConfig(artifact="ranker"), self.catalogue, home)

    def scorer(self, counts: Counts, max_bytes: int = 1 << 20, max_age_s: float = 600.0) -> HistoryScorer:
        config = HistoryCacheConfig(max_bytes=max_bytes, max_age_s=max_age_s)
        return HistoryScorer(ModelConfig(artifact="ranker"), config, self.catalogue, AGED, self.home, counts)


def write(home: Path, module: Architecture) -> None:
    signature = module.signature(FEATURES.content_hash)
    write_artifact(
        home / "ranker",
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=module.options.model_dump(mode="json"),
    )


def ragged(batch: RaggedBatch, name: str) -> RaggedArray:
    column = batch.requests[name]
    assert isinstance(column, RaggedArray)
    return column


def at(batch: RaggedBatch, now_s: float) -> RaggedBatch:
    """Return the batch as of a given time: events stay the same, and their ages follow the time."""
    if "user.history_at_s" not in batch.requests:
        days = ragged(batch, "user.history_age_days")
        at_s = NOW_S - DAY_S * days.values.astype(np.float64)
        batch = batch.adding(requests={"user.history_at_s": RaggedArray(at_s, days.offsets)})
    events = ragged(batch, "user.history_at_s")
    ages = RaggedArray(((now_s - events.values) / DAY_S).astype(np.float32), events.offsets)
    moments = np.full(len(batch), now_s)
    return batch.adding(requests={"user.history_age_days": ages, NOW: moments})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("histories"))


@given(st.lists(st.tuples(SHAPES, st.integers(0, 5)), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None)
def test_scores_equal_those_without_the_cache(
    world: World, asked: list[tuple[list[tuple[int, int]], int]]
) -> None:
    cached = world.scorer(Counts())
    for shapes, seed in [*asked, *asked]:  # mixed lengths, some of them cached
        batch = at(make_batch([n for n, _ in shapes], [past for _, past in shapes], seed), NOW_S)
        result, wanted = cached.scores(batch, "score"), world.plain.scores(batch, "score")
        np.testing.assert_allclose(result, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_one_batch_may_mix_hits_and_misses(world: World) -> None:
    counts = Counts()
    cached = world.scorer(counts)
    batch = at(make_batch([5, 9, 3, 7], [8, 0, 4, 2]), NOW_S)
    cached.scores(batch.take(np.array([2])), "score")
    cached.scores(batch.take(np.array([1])), "score")
    assert counts.totals == {"miss": 2}
    twice = batch.take(np.array([0, 2, 0, 1, 3]))
    result = cached.scores(twice, "score")
    assert counts.totals == {"miss": 4, "hit": 3}  # a history that occurs twice in a batch is encoded once
    np.testing.assert_allclose(result, world.plain.scores(twice, "score"), atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize(
    "column", ["user.history", "user.history_rating", "user.history_at_s", "user.profile"]
)
def test_changed_stored_row_is_encoded_again(world: World, column: str) -> None:
    counts = Counts()
    cached = world.scorer(counts)
    batch = at(make_batch([20], [6]), NOW_S)
    cached.scores(batch, "score")
    kept = batch.requests[column]
    if isinstance(kept, RaggedArray):
        values = kept.values.copy()
        values[2] = values[3]
        changed = batch.adding(requests={column: RaggedArray(values, kept.offsets)})
    else:
        changed = batch.adding(requests={column: kept + 1.0})
    changed = at(changed, NOW_S)
    result = cached.scores(changed, "score")
    assert counts.totals == {"miss": 2}
    np.testing.assert_allclose(result, world.plain.scores(changed, "score"), atol=TOLERANCE, rtol=TOLERANCE)


def test_added_rating_takes_effect_at_once(world: World) -> None:
    counts = Counts()
    cached = world.scorer(counts)
    after = at(make_batch([30], [7]), NOW_S)
    before = replace(
        after,
        requests={
            name: RaggedArray(column.values[:6], np.array([0, 6]))
            if isinstance(column, RaggedArray)
            else column
            for name, column in after.requests.items()
        },
    )
    old = cached.scores(before, "score")
    new = cached.scores(after, "score")
    assert counts.totals == {"miss": 2}
    assert np.abs(new - old).max() > TOLERANCE
    np.testing.assert_allclose(new, world.plain.scores(after, "score"), atol=TOLERANCE, rtol=TOLERANCE)


@given(st.floats(0.0, 1e5), st.floats(1.0, 86_400.0))
@settings(max_examples=50, deadline=None)
def test_times_with_one_key_are_less_than_max_age_s_apart(later_s: float, max_age_s: float) -> None:
    keys = HistoryKeys(["user.history", "user.history_age_days"], AGED, "1", max_age_s)
    batch = make_batch([1], [5])
    first, second = keys(at(batch, NOW_S)), keys(at(batch, NOW_S + later_s))
    if first == second:
        assert later_s < max_age_s * (1 + 1e-9) + 1e-6  # allows for the rounding of float64
    if later_s >= max_age_s + 1e-3:
        assert first != second


def test_ages_stay_as_encoded_within_a_step(world: World) -> None:
    counts = Counts()
    cached = world.scorer(counts, max_age_s=DAY_S)
    batch = make_batch([20], [6])
    scores = [cached.scores(at(batch, NOW_S + DAY_S * part / 8), "score") for part in range(9)]
    assert counts.totals == {"miss": 2, "hit": 7}
    assert len({row.tobytes() for row in scores}) == 2


def test_keys_differ_between_columns_artifacts_and_lengths() -> None:
    def key(columns: list[str], version: str, past: list[int]) -> list[bytes]:
        return HistoryKeys(columns, AGED, version, 600.0)(at(make_batch([1] * len(past), past), NOW_S))

    both = ["user.history", "user.history_rating"]
    assert key(both, "1", [5]) == key(both, "1", [5])
    assert key(both, "1", [5]) != key(both, "2", [5])
    assert len(set(key(both, "1", [5, 4, 3, 0, 1]))) == 5
    assert key(["user.history"], "1", [0, 0])[0] == key(["user.history"], "1", [0, 0])[1]


def test_evicted_entries_are_counted_and_encoded_again(world: World) -> None:
    counts = Counts()
    cached = world.scorer(counts, max_bytes=1 << 20)
    cached.entries = LruBytes(3 * 1000)  # an entry has 9 tokens of 64 numbers
    batch = at(make_batch([2] * 3, [8] * 3), NOW_S)
    result = cached.scores(batch, "score")
    assert counts.totals == {"miss": 3, "evicted": 2}
    np.testing.assert_allclose(result, world.plain.scores(batch, "score"), atol=TOLERANCE, rtol=TOLERANCE)
    cached.scores(batch.take(np.array([2])), "score")
    cached.scores(batch.take(np.array([0])), "score")
    assert counts.totals == {"miss": 4, "evicted": 3, "hit": 1}


def test_refuses_cache_for_a_model_that_encodes_no_history(tmp_path: Path, world: World) -> None:
    write(tmp_path, make_pooled())
    config = HistoryCacheConfig()
    catalogue: Catalogue = world.catalogue
    with pytest.raises(ConfigError, match="has no value 'encoded_history'") as raised:
        HistoryScorer(ModelConfig(artifact="ranker"), config, catalogue, AGED, tmp_path, Counts())
    assert raised.value.field == FIELD


def test_pipeline_with_a_cache_for_such_a_model_is_a_config_error(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path, {"ranker": {"history_cache": {"max_age_s": 60}}})
    config = load_config(path)
    assert any("has no value 'encoded_history'" in fault for fault in check_artifacts(config, tmp_path))
    with pytest.raises(ConfigError, match="leave out history_cache"):
        load_release(config, tmp_path, ["ranker"])


def test_threads_that_share_the_cache_get_the_scores_without_it(world: World) -> None:
    counts = Counts()
    cached = world.scorer(counts)
    cached.entries = LruBytes(4000)  # so small that entries are evicted all the time
    batches = [at(make_batch([5, 9], [3, seed % 8], seed), NOW_S) for seed in range(8)] * 6
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: cached.scores(batch, "score"), batches))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_allclose(result, world.plain.scores(batch, "score"), rtol=1e-5, atol=1e-5)
    assert counts.totals["evicted"]
