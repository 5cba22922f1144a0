from pathlib import Path

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from services.errors import ConfigError
from services.stages.features import FeaturesStage, load_definitions
from services.stores import open_store
from services.stores.base import Reading
from services.stores.kinds.lmdb import LmdbConfig
from tests.pipelines import FEATURES, bias_of


@pytest.fixture
def view(catalogue: Catalogue) -> FeatureView:
    return FeatureView(FEATURES, catalogue)


def asking(*keys: bytes) -> RaggedBatch:
    return RaggedBatch(
        offsets=np.arange(len(keys) + 1), rows=np.zeros(len(keys), dtype=np.int64), user_keys=keys
    )


def test_each_user_has_its_own_features_and_an_unknown_one_the_defaults(
    small_home: Path, view: FeatureView
) -> None:
    stage = FeaturesStage(view, open_store(LmdbConfig(path="users.lmdb"), small_home))
    result = stage(asking(b"u3", b"nobody", b"u0", b"", b"x" * 600, b"u3"))
    biases = result.requests["user.bias"]
    assert isinstance(biases, np.ndarray)
    assert biases.tolist() == [bias_of(3), 0.0, bias_of(0), 0.0, 0.0, bias_of(3)]
    assert result.unknown_users is not None
    assert result.unknown_users.tolist() == [False, True, False, True, True, False]
    assert stage(asking(b"u3", b"u0")).unknown_users is None
    stage.close()


def test_all_users_have_the_defaults_without_a_store(view: FeatureView) -> None:
    result = FeaturesStage(view, None)(asking(b"u3", b"u4"))
    np.testing.assert_array_equal(result.requests["user.bias"], [0.0, 0.0])
    assert result.unknown_users is None, "without a store, nobody is known to be unknown"


def test_one_round_trip_reads_the_whole_batch(view: FeatureView) -> None:
    class Counting:
        reads = 0

        def read_many(self, keys: list[bytes]) -> Reading:
            self.reads += 1
            return Reading([None] * len(keys))

    store = Counting()
    FeaturesStage(view, store)(asking(*[b"u%d" % i for i in range(50)]))  # type: ignore[arg-type]
    assert store.reads == 1


def test_user_whose_row_the_store_cannot_read_gets_defaults_and_is_degraded(view: FeatureView) -> None:
    class Half:
        waits = False

        def read_many(self, keys: list[bytes]) -> Reading:
            row = view.codecs["user"].encode({"bias": np.array(5.0, dtype=np.float32)})
            return Reading([None, row, None], unread=[2])

    result = FeaturesStage(view, Half())(asking(b"unknown", b"u1", b"u2"))  # type: ignore[arg-type]
    np.testing.assert_array_equal(result.requests["user.bias"], [0.0, 5.0, 0.0])
    assert [result.missed_by(request) for request in range(3)] == [[], [], ["features"]]
    assert result.unknown_users is not None
    assert result.unknown_users.tolist() == [True, False, False], "a user who could not be read may be known"


def test_user_whose_row_cannot_be_decoded_gets_defaults_and_others_their_own(
    view: FeatureView, caplog: pytest.LogCaptureFixture
) -> None:
    codec = view.codecs["user"]
    good = codec.encode({"bias": np.array(7.0), "history": np.arange(3)})

    class Mixed:
        def read_many(self, keys: list[bytes]) -> Reading:
            return Reading([good, b"\0" * 64, good[:-1], b"", None, good], unread=[4])

    counted: list[tuple[str, int]] = []

    class Told:
        def unreadable(self, group: str, count: int) -> None:
            counted.append((group, count))

    stage = FeaturesStage(view, Mixed(), Told())  # type: ignore[arg-type]
    batch = stage(asking(*[b"u%d" % i for i in range(6)]))
    columns = batch.requests
    np.testing.assert_array_equal(columns["user.bias"], [7.0, 0.0, 0.0, 0.0, 0.0, 7.0])
    assert len(columns["user.history"]) == 6
    assert counted == [("user", 3)]
    assert [bool(batch.missed_by(index)) for index in range(6)] == [False, True, True, True, True, False]
    assert "load the store again" in caplog.text
    assert "u1" in caplog.text
    stage(asking(*[b"u%d" % i for i in range(6)]))
    assert len(caplog.records) == 1, "a store of other definitions must not flood the log"


@pytest.mark.parametrize("text", ["features: 7", "[", "features:\n- {name: Bad Name, group: user}", "\x00"])
def test_unreadable_definitions_are_a_config_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_definitions(path)
    assert refused.value.field == "features.definitions"
    with pytest.raises(ConfigError, match="no feature definitions at"):
        load_definitions(tmp_path / "none.yaml")
