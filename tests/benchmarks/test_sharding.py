"""The shard group benchmark prints only its result to standard output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240
TOLERANCE = 1e-4


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_prints_only_json_and_reports_an_impossible_split_as_a_row() -> None:
    command = [sys.executable, "benchmarks/sharding.py", "--json", "--cases", "payload"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert process.returncode == 0, process.stderr[-4000:]
    rows = {(row["way"], row["ranks"]): row for row in json.loads(process.stdout)["rows"]}
    assert rows["tensor", 2]["difference"] < TOLERANCE
    assert "attention heads, got 4" in rows["tensor", 4]["refused"]
    assert "must be at most the number of layers" in rows["pipeline", 2]["refused"]
