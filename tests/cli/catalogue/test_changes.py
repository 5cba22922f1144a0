"""``rankway catalogue add``, ``remove`` and ``compact``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cli.main import root
from models.features.catalogue import Catalogue
from models.features.deltas.folder import open_grown
from services.config.loading import load_config
from services.releases.staging import ReleaseFolder
from tests.conftest import ROOT
from tests.pipelines import ITEMS, make_pipeline
from tests.services.releasing import stage_shifted

NEW: dict[str, Any] = {
    "id": ["new"],
    "value": [7000.0],
    "start": [[0.5, 0.25]],
    "embedding": [[1.0] + [0.0] * 7],
}


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    make_pipeline(tmp_path)
    return tmp_path


def catalogue(*arguments: object) -> Result:
    words = ["catalogue", *map(str, arguments)]
    return CliRunner().invoke(root(words), words)


def add(home: Path, columns: dict[str, Any], *more: str) -> Result:
    path = home / "some items.parquet"
    pq.write_table(pa.table(columns), path)
    return catalogue("add", home / "pipeline.yaml", path, *more)


def served(home: Path) -> Catalogue:
    return open_grown(home / "catalogue", home / "catalogue.deltas")


def deltas(home: Path) -> list[Path]:
    return sorted((home / "catalogue.deltas").rglob("*.npz"))


def test_adds_items_and_keeps_what_a_changed_one_lacks(home: Path) -> None:
    result = add(home, NEW)
    assert result.exit_code == 0, result.output
    assert "1 added items, 501 in all" in result.output
    before = served(home)
    old = before.row_by_id["item-0007"]
    result = add(home, {"id": ["item-0007", "new"], "value": [8000.0, None], "other": ["x", "y"]})
    assert result.exit_code == 0, result.output
    assert "columns that are not read: other" in result.output
    assert "2 changed items, 501 in all" in result.output
    now = served(home)
    row, new = now.row_by_id["item-0007"], now.row_by_id["new"]
    assert [float(now.columns["value"][r]) for r in (row, new)] == [8000.0, 7000.0]
    assert now.columns["start"][row].tolist() == before.columns["start"][old].tolist()
    assert now.details(row) == before.details(old)
    assert json.loads(now.details(new)) == {"id": "new"}
    assert len(deltas(home)) == 2


def test_removes_items_by_name_and_from_a_file(home: Path) -> None:
    (home / "ids.txt").write_text("item-0001\n\nitem-0002\n")
    result = catalogue("remove", home / "pipeline.yaml", "item-0003", "--file", home / "ids.txt")
    assert result.exit_code == 0, result.output
    assert "3 removed items, 497 in all" in result.output
    assert not {"item-0001", "item-0002", "item-0003"} & served(home).row_by_id.keys()
    result = catalogue("remove", home / "pipeline.yaml", "item-0003", "item-0004", "never")
    assert result.exit_code == 2
    assert "2 of 3 are not in catalogue small, got item-0003, never" in result.output
    assert "Nothing was removed" in result.output
    assert len(deltas(home)) == 1
    assert "none was given" in catalogue("remove", home / "pipeline.yaml").output


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({**NEW, "id": [None]}, r"some items.parquet row 1: column id must have an id"),
        ({**NEW, "id": ["x" * 300]}, "must have at most 256 bytes"),
        ({k: v * 2 for k, v in NEW.items()}, "must have each id once, got 'new' twice; remove a row"),
        ({**NEW, "value": ["many"]}, "row 1: column value must be a finite number, got 'many'"),
        ({**NEW, "value": [float("inf")]}, "column value must be a finite number"),
        ({**NEW, "value": [1e300]}, "column value must fit into float32, got 1e+300"),
        ({**NEW, "start": [[0.5, 0.25, 1.0]]}, "column start must have 2 numbers"),
        ({**NEW, "start": [[0.5, float("nan")]]}, "column start must have finite numbers"),
        ({**NEW, "start": ["here"]}, "column start must have lists of 2 numbers, got string"),
        ({**NEW, "start": [["a", "b"]]}, "column start must have lists of numbers"),
        ({**NEW, "value": [[1.0]]}, "column value must have one number per row"),
        (
            {k: v for k, v in NEW.items() if k != "start"},
            "the new item 'new' has no start, which has no default",
        ),
        ({"id": ["new"], "Value": [1.0]}, "has no column of the catalogue, got id, Value; name them as"),
        ({"name": ["new"], "value": [1.0]}, "no column 'id'; name one of name, value"),
        (
            {"id": pa.array([], pa.string()), "value": pa.array([], pa.float32())},
            "has no row that can be used",
        ),
    ],
)
def test_refuses_bad_items_and_writes_nothing(home: Path, columns: dict[str, Any], message: str) -> None:
    result = add(home, columns)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert deltas(home) == []


def test_bad_rows_can_be_skipped(home: Path) -> None:
    columns = {name: values * 2 for name, values in NEW.items()} | {"id": ["new", ""]}
    result = add(home, columns, "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "1 rows were left out: id must have an id" in result.output
    assert served(home).item_count == ITEMS + 1


def test_refuses_to_leave_fewer_items_than_a_request_needs(home: Path) -> None:
    (home / "ids.txt").write_text("\n".join(f"item-{number:04d}" for number in range(ITEMS - 19)))
    result = catalogue("remove", home / "pipeline.yaml", "--file", home / "ids.txt")
    assert result.exit_code == 2
    assert "candidates.count: must be at most the number of items, which would be 19, got 20" in result.output
    assert deltas(home) == []


def test_damaged_delta_is_reported_and_no_further_one_is_written(home: Path) -> None:
    assert add(home, NEW).exit_code == 0
    path = deltas(home)[0]
    path.write_bytes(path.read_bytes()[:500])
    for arguments in (["catalogue", "remove"], ["check"]):
        words = [*arguments, str(home / "pipeline.yaml"), *(["item-0001"] if len(arguments) > 1 else [])]
        result = CliRunner().invoke(root(words), words)
        assert result.exit_code != 0
        assert "000001.npz cannot be read" in result.output
        assert "Traceback" not in result.output
    assert deltas(home) == [path]


@pytest.mark.slow
def test_two_writers_at_once_both_write_their_items(home: Path) -> None:
    tables = []
    for number in range(2):
        path = home / f"items-{number}.parquet"
        pq.write_table(pa.table({**NEW, "id": [f"new-{number}"]}), path)
        tables.append(path)
    command = [sys.executable, "-m", "cli.main", "catalogue", "add", str(home / "pipeline.yaml")]
    processes = [
        subprocess.Popen([*command, str(path)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for path in tables
    ]
    for process in processes:
        assert process.communicate(timeout=60)[1].count("1 added items") == 1
        assert process.returncode == 0
    assert {f"new-{number}" for number in range(2)} <= set(served(home).ids)
    assert len(deltas(home)) == 2


def test_a_killed_writer_leaves_no_delta_and_does_not_block_the_next(home: Path) -> None:
    slow = (
        "import models.features.deltas.delta as d, os, signal\n"
        "d.sync_folder = lambda path: None\n"
        "import numpy as np\n"
        "def savez(file, **arrays):\n"
        "    file.write(b'PK half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "d.np.savez = savez\n"
        "import sys; sys.argv[0] = 'rankway'\n"
        "from cli.main import main; main()\n"
    )
    pq.write_table(pa.table(NEW), home / "items.parquet")
    words = ["catalogue", "add", str(home / "pipeline.yaml"), str(home / "items.parquet")]
    killed = subprocess.run(
        [sys.executable, "-c", slow, *words], cwd=ROOT, env={**os.environ}, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert served(home).state == ""
    assert add(home, NEW).exit_code == 0
    left = [path.name for path in deltas(home)[0].parent.iterdir()]
    assert sorted(left) == [".lock", "000001.npz"]


def test_changes_go_to_the_active_release_which_stays_valid(home: Path) -> None:
    config = load_config(home / "pipeline.yaml")
    folder = ReleaseFolder(home, config.name)
    name = stage_shifted(config, home, 1.0)
    folder.history.note_active(name)
    assert add(home, NEW).exit_code == 0
    applied = folder.applied(config, name)  # checks all hashes
    grown = open_grown(home / applied.catalogue, home / applied.deltas_folder)
    assert "new" in grown.row_by_id
    assert stage_shifted(config, home, 1.0) == name  # deltas are no part of a release
    other = home / "other"
    make_pipeline(other)
    (home / "catalogue").rename(home / "old")
    (other / "catalogue").rename(home / "catalogue")
    manifest = (home / "catalogue" / "catalogue.yaml").read_text().replace("version: '1'", "version: '2'")
    (home / "catalogue" / "catalogue.yaml").write_text(manifest)
    result = add(home, {**NEW, "id": ["newer"]})
    assert result.exit_code == 0, result.output
    assert f"release {name} is active and serves version 1" in result.output
    assert "has version 2, which does not get these items" in result.output


def test_compact_folds_the_deltas_into_a_new_version(home: Path) -> None:
    assert "has no deltas" in catalogue("compact", home / "pipeline.yaml").output
    add(home, NEW)
    catalogue("remove", home / "pipeline.yaml", "item-0001")
    before = served(home)
    result = catalogue("compact", home / "pipeline.yaml")
    assert result.exit_code == 0, result.output
    after = served(home)
    assert (after.state, len(after)) == ("", ITEMS)
    assert after.manifest.version != before.manifest.version
    living = np.delete(np.arange(len(before)), before.dead).tolist()
    assert set(after.row_by_id) == {before.ids[row] for row in living}
    for item in ("new", "item-0002", "item-0499"):
        new, old = after.row_by_id[item], before.row_by_id[item]
        assert after.details(new) == before.details(old)
        for name in after.columns:
            assert after.columns[name][new].tolist() == before.columns[name][old].tolist()
