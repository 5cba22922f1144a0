import csv
import io
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.files import csv_lines
from models.datasets.files.csv_lines import CsvLines

VALUES = st.text(alphabet='ab",\n', max_size=4)


def lines_of(data: bytes) -> CsvLines:
    return CsvLines(lambda path: closing(io.BytesIO(data)), "a.csv")


@given(
    st.lists(st.tuples(VALUES, VALUES, st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_row_has_the_line_in_which_it_begins(rows: list[tuple[str, str, int]], newline: str) -> None:
    text, begins = io.StringIO(), []
    writer = csv.writer(text, lineterminator=newline, quoting=csv.QUOTE_ALL)
    for first, second, blank_lines in rows:
        begins.append(text.getvalue().count("\n") + 1)
        writer.writerow([first, second])
        text.write(newline * blank_lines)
    found = lines_of(text.getvalue().encode())
    assert [found(number) for number in range(1, len(rows) + 1)] == begins


def test_rows_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 3)
    found = lines_of(b'a,b\r\n1,"x\r\ny"\r\n\r\n3,4\r\n')
    assert [found(number) for number in (1, 2, 3)] == [1, 2, 5]
