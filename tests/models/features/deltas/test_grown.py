"""A catalogue with deltas has the items that a dictionary with the same changes has."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder, open_grown

FEATURES = FeatureSet(
    features=(Feature(name="value", group="item"), Feature(name="pair", group="item", shape=(2,)))
)
NAMES = [f"item-{number}" for number in range(12)]
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # each delta waits for the disk


def written(root: Path, values: dict[str, int]) -> Catalogue:
    write_catalogue(
        root, name="c", version="1", features=FEATURES, ids=list(values), columns=columns_of(values.values()),
        details=[str(value).encode() for value in values.values()],
    )  # fmt: skip
    return Catalogue.open(root)


def columns_of(values: Iterable[int]) -> dict[str, NDArray[Any]]:
    numbers = np.array(list(values), dtype=np.float32)
    return {"value": numbers, "pair": np.stack([numbers, -numbers], axis=1).reshape(-1, 2)}


def delta_of(changed: dict[str, int], removed: Iterable[str] = ()) -> Delta:
    details = [str(value).encode() for value in changed.values()]
    return Delta(list(changed), columns_of(changed.values()), details, sorted(removed))


def append(folder: DeltaFolder, catalogue: Catalogue, delta: Delta) -> Catalogue:
    folder.append(catalogue, delta)
    return folder.applied(catalogue)


def content(catalogue: Catalogue) -> dict[str, int]:
    """Return the items by all the ways in which the catalogue can be read, which must agree."""
    keys = np.array([item_key(name) for name in NAMES], dtype=np.int64)
    rows = catalogue.rows_of_keys(keys)
    items = {}
    for name, row in zip(NAMES, rows.tolist(), strict=True):
        assert catalogue.row_by_id.get(name, -1) == row
        assert (name in catalogue.row_by_id) == (row >= 0)
        if row >= 0:
            assert catalogue.row_by_id[name] == row
            assert (catalogue.ids[row], int(catalogue.keys[row])) == (name, item_key(name))
            value = int(catalogue.columns["value"][row])
            assert catalogue.columns["pair"][row].tolist() == [value, -value]
            assert catalogue.details(row) == str(value).encode()
            items[name] = value
    alive = np.setdiff1d(np.arange(len(catalogue)), catalogue.dead)
    assert sorted(catalogue.ids[row] for row in alive) == sorted(items)
    assert catalogue.item_count == len(items)
    return items


changes = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1000), max_size=5),
        st.sets(st.sampled_from(NAMES), max_size=4),
        st.booleans(),
    ),
    max_size=6,
)


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1000), max_size=8), changes)
@settings(max_examples=60)
def test_any_changes_equal_those_of_a_dictionary(
    first: dict[str, int], deltas: list[tuple[dict[str, int], set[str], bool]]
) -> None:
    with TemporaryDirectory(dir=FAST) as place:
        root = Path(place)
        catalogue = written(root / "c", first)
        folder = DeltaFolder.of(catalogue, root / "c.deltas")
        expected, states = dict(first), [(catalogue, dict(first))]
        for changed, others, reopens in deltas:
            removed = others - changed.keys()
            catalogue = append(folder, catalogue, delta_of(changed, removed))
            expected = {k: v for k, v in {**expected, **changed}.items() if k not in removed}
            states.append((catalogue, expected))
            if reopens:
                catalogue = open_grown(root / "c", root / "c.deltas")
        for state, items in states:
            assert content(state) == items
        reopened = open_grown(root / "c", root / "c.deltas")
        assert content(reopened) == expected
        assert reopened.label == catalogue.label
        # A row stands for the same item in every state.
        for state, _ in states:
            assert reopened.has_state(state.state)
            assert reopened.ids[: len(state)] == state.ids[: len(state)]
            assert (reopened.columns["value"][: len(state)] == state.columns["value"]).all()


def test_two_continuations_of_one_state_do_not_mix(tmp_path: Path) -> None:
    base = written(tmp_path / "c", {"item-0": 0})
    here, there = (DeltaFolder(tmp_path / name) for name in "ab")
    one, other = (append(f, base, delta_of({"item-1": v})) for f, v in ((here, 1), (there, 2)))
    further = append(here, one, delta_of({"item-2": 3}))
    another = append(there, other, delta_of({"item-2": 4}))
    assert [content(c)["item-1"] for c in (one, further, other, another)] == [1, 1, 2, 2]
    assert not one.has_state(other.state)
    assert not further.has_state(another.state)


def test_a_truncated_or_changed_delta_is_refused(tmp_path: Path) -> None:
    base = written(tmp_path / "c", {"item-0": 0})
    folder = DeltaFolder.of(base, tmp_path / "c.deltas")
    append(folder, base, delta_of({"item-1": 1}))
    whole = folder.path(1).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1], whole.replace(b"item-1", b"item-2")):
        folder.path(1).write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"000001\.npz cannot be read .*copy the file again"):
            folder.applied(base)


def test_a_missing_delta_is_refused(tmp_path: Path) -> None:
    base = written(tmp_path / "c", {"item-0": 0})
    folder = DeltaFolder.of(base, tmp_path / "c.deltas")
    append(folder, append(folder, base, delta_of({"item-1": 1})), delta_of({"item-2": 1}))
    folder.path(1).unlink()
    with pytest.raises(ArtifactError, match=r"000001\.npz is missing, but there is number 2"):
        folder.applied(base)


def test_a_delta_of_another_state_or_layout_is_refused(tmp_path: Path) -> None:
    base = written(tmp_path / "c", {"item-0": 0})
    folder = DeltaFolder(tmp_path)
    delta = delta_of({"item-1": 1})
    delta.write(folder.path(1), delta.manifest("7.abc", FEATURES.content_hash))
    with pytest.raises(ArtifactError, match=r"must follow state none of catalogue c, got 7\.abc"):
        folder.applied(base)
    delta.write(folder.path(1), delta.manifest("", "other"))
    with pytest.raises(ArtifactError, match="must have feature hash"):
        folder.applied(base)
    wrong = Delta(["item-1"], {"value": np.ones(1, np.float64), "pair": np.ones((1, 2), np.float32)}, [b""])
    wrong.write(folder.path(1), wrong.manifest("", FEATURES.content_hash))
    with pytest.raises(ArtifactError, match=r"column value must be float32 .* got float64"):
        folder.applied(base)
