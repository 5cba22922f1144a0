"""The lists of popular items of the cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder
from services.errors import ConfigError
from services.stages.popular import PopularConfig, PopularItems

FEATURES = FeatureSet(features=(Feature(name="fame", group="item"),))


def catalogue_of(root: Path, cells: list[int] | None, popularity: list[float]) -> Catalogue:
    columns: dict[str, NDArray[Any]] = {
        "fame": np.array(popularity, dtype=np.float32),
        "pair": np.zeros((len(popularity), 2)),
    }
    if cells is not None:
        columns["cell"] = np.array(cells, dtype=np.int32)
    ids = [f"i{n}" for n in range(len(popularity))]
    write_catalogue(
        root, name="c", version="1", features=FEATURES, ids=ids, columns=columns, details=[b"{}"] * len(ids)
    )
    return Catalogue.open(root)


@settings(max_examples=50, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 5)), min_size=1, max_size=30),
    count=st.integers(1, 40),
)
def test_list_has_popular_items_of_the_cell_then_of_the_catalogue(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[int, int]], count: int
) -> None:
    root = tmp_path_factory.mktemp("popular") / "catalogue"
    catalogue = catalogue_of(root, [cell for cell, _ in items], [float(fame) for _, fame in items])
    cells, fame = np.asarray(catalogue.columns["cell"]), np.asarray(catalogue.columns["fame"])
    popular = PopularItems(PopularConfig(column="fame"), catalogue, count)
    lists = popular.near(np.arange(len(items)))
    for row, own in enumerate(lists.tolist()):
        by_fame = sorted(range(len(items)), key=lambda each: -fame[each])
        wanted = sorted(by_fame, key=lambda each: bool(cells[each] != cells[row]))
        assert own == wanted[:count]
    assert popular.anywhere(2).tolist() == [by_fame[:count]] * 2


changes = st.lists(
    st.dictionaries(st.integers(0, 12), st.none() | st.tuples(st.integers(-1, 4), st.integers(0, 5))),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 5)), min_size=1, max_size=10),
    deltas=changes,
    count=st.integers(1, 15),
    has_cells=st.booleans(),
    column=st.sampled_from(["fame", None]),
)
def test_lists_after_deltas_equal_those_of_a_sort(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[tuple[int, int]],
    deltas: list[dict[int, tuple[int, int] | None]],
    count: int,
    has_cells: bool,
    column: str | None,
) -> None:
    root = tmp_path_factory.mktemp("popular")
    cells = [cell for cell, _ in items] if has_cells else None
    catalogue = catalogue_of(root / "c", cells, [float(fame) for _, fame in items])
    folder = DeltaFolder(root / "deltas")
    for delta in deltas:
        changed = {f"i{number}": item for number, item in delta.items() if item is not None}
        columns: dict[str, NDArray[Any]] = {
            "fame": np.array([fame for _, fame in changed.values()], dtype=np.float32),
            "pair": np.zeros((len(changed), 2)),
        }
        if has_cells:
            columns["cell"] = np.array([cell for cell, _ in changed.values()], dtype=np.int32)
        removed = [f"i{number}" for number, item in delta.items() if item is None]
        folder.append(catalogue, Delta(list(changed), columns, [b"{}"] * len(changed), removed))
        catalogue = folder.applied(catalogue)
        popular = PopularItems(PopularConfig(column=column), catalogue, count)
        living = np.delete(np.arange(len(catalogue)), catalogue.dead).tolist()
        fame = np.asarray(catalogue.columns["fame"])
        ordered = sorted(living, key=lambda row: -fame[row] if column else row)
        assert popular.anywhere(1).tolist() == [ordered[:count]]
        cell_of = np.asarray(catalogue.columns["cell"]) if has_cells else np.zeros(len(catalogue))
        for row in living:
            wanted = sorted(ordered, key=lambda other: bool(cell_of[other] != cell_of[row]))
            assert popular.near(np.array([row])).tolist() == [wanted[:count]]


def test_one_list_in_catalogue_order_without_cells_or_column(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path / "c", None, [0.0, 2.0, 1.0])
    assert PopularItems(PopularConfig(), catalogue, 2).near(np.array([2])).tolist() == [[0, 1]]


@pytest.mark.parametrize("column", ["nowhere", "pair"])
def test_error_names_a_column_that_is_not_one_number_per_item(tmp_path: Path, column: str) -> None:
    catalogue = catalogue_of(tmp_path / "c", None, [0.0])
    with pytest.raises(ConfigError, match=f"no column '{column}' with one number per item"):
        PopularItems(PopularConfig(column=column), catalogue, 2)
