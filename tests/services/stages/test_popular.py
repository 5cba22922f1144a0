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


def test_one_list_in_catalogue_order_without_cells_or_column(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path / "c", None, [0.0, 2.0, 1.0])
    assert PopularItems(PopularConfig(), catalogue, 2).near(np.array([2])).tolist() == [[0, 1]]


@pytest.mark.parametrize("column", ["nowhere", "pair"])
def test_error_names_a_column_that_is_not_one_number_per_item(tmp_path: Path, column: str) -> None:
    catalogue = catalogue_of(tmp_path / "c", None, [0.0])
    with pytest.raises(ConfigError, match=f"no column '{column}' with one number per item"):
        PopularItems(PopularConfig(column=column), catalogue, 2)
