"""A request after a build is served with the numbers that training would read for a list at that time."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.assembly import InputAssembler
from models.datasets.events import moments_of
from models.features.rows import row_key
from models.features.transforms import NOW
from models.ragged import RaggedArray, RaggedBatch
from services.stores.sources import ParquetSource
from tests.models.datasets.scenarios.built_logs import NOTHING, START_S, Built, events_of, log_of

NEXT_S = 50
"""The time of the request, after all events of the log."""


@settings(max_examples=8, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(events_of(40, 40), st.data())
def test_a_request_after_the_build_has_the_features_of_a_list_at_that_time(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, float]], data: st.DataObject
) -> None:
    user = data.draw(st.sampled_from(sorted({event[0] for event in events})))
    folder = tmp_path_factory.mktemp("log")
    served = Built(log_of(events, served=True), folder / "served")
    longer = log_of([*events, (user, NOTHING, NEXT_S, 1.0)], served=True)
    assert len(moments_of(longer)) > 1
    trained = dict(Built(longer, folder / "trained").lists("test", START_S + NEXT_S))
    expected = trained[user, float(START_S + NEXT_S)]
    rows = {
        key: row
        for part in ParquetSource(served.data.users, served.features).parts(None)
        for key, row in part.rows
    }
    count = len(served.catalogue)
    request = RaggedBatch(
        offsets=np.array([0, count]),
        rows=np.arange(count),
        requests={NOW: np.array([float(START_S + NEXT_S)])},
    )
    key = row_key("user", f"u{user}".encode())
    completed, unreadable = served.view.decoded(request, {"user": [rows[key]]})
    assert not unreadable
    columns = dict(InputAssembler(served.signature(), served.catalogue)(completed))
    for name, column in completed.requests.items():
        columns[name] = column.values if isinstance(column, RaggedArray) else column
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(columns[name], values, name)
