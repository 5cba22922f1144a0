from pathlib import Path

import numpy as np
import pytest

from models.datasets.movielens import read_movielens
from models.errors import ArtifactError

EVENTS = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
FILMS = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tA\t1995\tComedy Drama\n"
)


def files(root: Path, events: str, films: str = FILMS) -> tuple[Path, Path]:
    (root / "a.inter").write_text(events)
    (root / "a.item").write_text(films)
    return root / "a.inter", root / "a.item"


def test_reads_the_published_data_set() -> None:
    log = read_movielens()
    assert (len(log), len(log.item_ids), len(np.unique(log.user))) == (100_000, 1682, 943)
    assert set(np.unique(log.value)) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert not log.repeats
    assert len(np.unique(log.user * 1682 + log.item)) == 100_000


def test_events_are_sorted_by_user_and_time(tmp_path: Path) -> None:
    log = read_movielens(*files(tmp_path, EVENTS + "7\t1\t3\t20\n7\t2\t5\t10\n3\t2\t4\t30\n"))
    assert log.user.tolist() == [0, 1, 1]
    assert [log.item_ids[item] for item in log.item] == ["2", "2", "1"]
    assert log.value.tolist() == [4.0, 5.0, 3.0]


def test_film_without_description_has_no_genre_and_the_median_year(tmp_path: Path) -> None:
    log = read_movielens(*files(tmp_path, EVENTS + "7\t1\t3\t20\n7\t2\t5\t10\n"))
    assert log.item_columns["genres"].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert log.item_columns["year"].tolist() == [1995.0, 1995.0]


@pytest.mark.parametrize("line", ["7\t1\tthree\t20\n", "7\t1\n"])
def test_error_names_a_bad_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ArtifactError, match=r"a\.inter line 3: .*install"):
        read_movielens(*files(tmp_path, EVENTS + "7\t1\t3\t20\n" + line))


def test_error_names_a_field_that_the_header_lacks(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="lacks timestamp"):
        read_movielens(*files(tmp_path, "user_id:token\titem_id:token\trating:float\n"))
