import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from walks.map.cells import Cells

BOX = np.array([[60.1651, 24.9361], [60.1809, 24.9549]])


def test_cells_are_about_300_metres_wide() -> None:
    cells = Cells.over(BOX)
    here = np.array([[60.1701, 24.9401]])
    near, north, east = (here + np.array([shift]) for shift in ((1e-4, 1e-4), (0.0026, 0.0), (0.0, 0.0051)))
    assert cells.index_at(here) == cells.index_at(near)
    assert len({int(cells.index_at(place)[0]) for place in (here, north, east)}) == 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_every_position_on_the_map_has_a_cell(up: float, right: float) -> None:
    cells = Cells.over(BOX)
    at = BOX[:1] + (BOX[1] - BOX[0]) * [[up, right]]
    assert 0 <= cells.index_at(at)[0] < len(cells)


def test_positions_outside_the_map_have_no_cell() -> None:
    cells = Cells.over(BOX)
    assert cells.index_at(np.array([[60.2, 24.94], [60.17, 24.9], [0.0, 0.0]])).tolist() == [-1, -1, -1]
