"""MovieLens-100K (Harper and Konstan 2015): 100,000 ratings of 1,682 films by 943 people in 1997 and 1998.

For research only. Redistribution needs permission: https://files.grouplens.org/datasets/movielens/ml-100k-README.txt
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.datasets.events import EventLog
from models.datasets.wheels import WheelFile, locate
from models.errors import ArtifactError

LICENCE = "MovieLens-100K, GroupLens, University of Minnesota: research use only"
EVENTS = WheelFile("recbole==1.2.1", "recbole", "dataset_example/ml-100k/ml-100k.inter", LICENCE)
FILMS = WheelFile("recbole==1.2.1", "recbole", "dataset_example/ml-100k/ml-100k.item", LICENCE)


def read_movielens(events: Path | None = None, films: Path | None = None) -> EventLog:
    """Read the data set.

    Every rating is an event, high or low. Its value is the rating, from 1 to 5.

    The item columns are:

    - ``genres``, float32 (I, G): 1 for each genre of a film.
    - ``year``, float32 (I,): the year of release, or the median if it is unknown.

    Raises:
        ArtifactError: the data set is not installed, or a line cannot be read. The message has file, line and remedy.
    """
    users, items, values, times = [], [], [], []
    events = events or locate(EVENTS)
    for number, row in _lines(events, ("user_id", "item_id", "rating", "timestamp")):
        user, item, value, at_s = row
        try:
            values.append(float(value))
            times.append(float(at_s))
        except ValueError as error:
            raise ArtifactError(f"{events} line {number}: {error}; install the wheel again") from error
        users.append(user)
        items.append(item)
    films = films or locate(FILMS)
    film_rows = {row[0]: row for _, row in _lines(films, ("item_id", "release_year", "class"))}
    ids = np.unique(items).tolist()
    genre_names = sorted({genre for row in film_rows.values() for genre in row[2].split()})
    genres = np.zeros((len(ids), len(genre_names)), dtype=np.float32)
    year = np.full(len(ids), np.nan, dtype=np.float32)
    for index, item in enumerate(ids):
        _, released, classes = film_rows.get(item, (item, "", ""))
        genres[index, [genre_names.index(genre) for genre in classes.split()]] = 1.0
        year[index] = int(released) if released.isdigit() else np.nan
    known = np.isfinite(year)
    year[~known] = np.median(year[known]) if known.any() else 0.0
    return EventLog.from_ids(
        "movielens-100k",
        users,
        items,
        times,
        values,
        item_columns={"genres": genres, "year": year},
        licence=LICENCE,
    )


def _lines(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and wanted fields. Header names are written ``field:type``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = [field.partition(":")[0] for field in next(rows, [])]
        missing = [field for field in wanted if field not in header]
        if missing:
            raise ArtifactError(
                f"{path}: its header lacks {', '.join(missing)}; install recbole==1.2.1 again"
            )
        columns = [header.index(field) for field in wanted]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise ArtifactError(
                    f"{path} line {number}: {len(row)} fields instead of {len(header)}; install the wheel again"
                )
            yield number, [row[column] for column in columns]
