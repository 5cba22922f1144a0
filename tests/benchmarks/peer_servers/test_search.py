import json
from pathlib import Path

import pytest

from benchmarks.peer_servers import registry
from benchmarks.peer_servers.options import Settings
from benchmarks.peer_servers.registry import PEERS, best_settings, write_settings
from benchmarks.peer_servers.search import score_of


def test_a_score_is_the_geometric_mean_and_nothing_for_settings_that_answer_nothing() -> None:
    assert score_of([100.0, 400.0]) == pytest.approx(200.0)
    assert score_of([0.0, 1000.0]) == 0.0


def test_every_combination_that_fits_the_cores_is_tried_with_other_settings_kept() -> None:
    peer = PEERS["mosec"]
    tried = peer.candidates(Settings(fronts=5), 2)
    assert {(s.workers, s.threads, s.batch, s.wait_ms) for s in tried} == {
        (workers, threads, batch, wait_ms)
        for workers in peer.grid["workers"]
        for threads in peer.grid["threads"]
        for batch in peer.grid["batch"]
        for wait_ms in peer.grid["wait_ms"]
        if workers * threads <= 3
    }
    assert {s.fronts for s in tried} == {5}


def test_found_settings_replace_one_peers_settings_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "settings.json"
    copy.write_text(registry.SETTINGS.read_text())
    monkeypatch.setattr(registry, "SETTINGS", copy)
    before = {name: best_settings(name) for name in PEERS}
    found = Settings(workers=3, threads=2, batch=9, wait_ms=0.5, fronts=4)
    write_settings("mosec", found, "a test")
    assert {name: best_settings(name) for name in PEERS} == {**before, "mosec": found}
    assert json.loads(copy.read_text())["mosec"]["found"] == "a test"
