import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.rows import KeyedGroup, row_key
from models.features.view import FeatureView
from models.ragged import RaggedArray, RaggedBatch
from services.stores.lmdb import LmdbStore
from walks.data.features import FEATURES
from walks.data.users import user_id
from walks.presets import PRESETS
from walks.simulation.people import PROFILE
from walks.simulation.weather import PRESENT_S
from walks.world import World

GROUPS: tuple[KeyedGroup, ...] = ("user", "realtime")


def test_ids_start_at_one() -> None:
    assert user_id(0) == "u-000001"
    assert user_id(123_455) == "u-123456"


def test_store_contains_every_user_with_a_history_of_known_routes(world: World) -> None:
    catalogue = Catalogue.open(world.catalogue)
    count = PRESETS["tiny"].users
    store = LmdbStore(world.users)
    try:
        ids = [user_id(number).encode() for number in range(count + 1)]
        rows = {group: store.read_many([row_key(group, each) for each in ids]).rows for group in GROUPS}
    finally:
        store.close()
    assert [each[-1] for each in rows.values()] == [None, None]
    batch = RaggedBatch(
        offsets=np.zeros(count + 1, dtype=np.int64),
        rows=np.zeros(0, dtype=np.int64),
        requests={"context.now_s": np.full(count, PRESENT_S)},
    )
    result, unreadable = FeatureView(FEATURES, catalogue).decoded(
        batch, {group: each[:-1] for group, each in rows.items()}
    )
    assert unreadable == {}
    columns = result.requests
    profile, history, ages = (columns[f"user.{name}"] for name in ("profile", "history", "history_age_days"))
    assert isinstance(profile, np.ndarray)
    assert profile.shape == (count, len(PROFILE))
    assert isinstance(history, RaggedArray)
    assert isinstance(ages, RaggedArray)
    assert (catalogue.rows_of_keys(history.values) >= 0).all()
    assert np.diff(history.offsets).mean() > 3.0
    assert ages.values.min() > 0.0
    assert ages.values.max() <= PRESETS["tiny"].days + 1
    assert profile[:, PROFILE.index("pace")].mean() == pytest.approx(0.8, abs=0.05)
