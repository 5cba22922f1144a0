import json
from importlib.util import find_spec

import pytest

from benchmarks.cases.workloads import WORKLOADS
from benchmarks.peer_servers.options import PeerOptions, Settings
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.registry import PEERS, SETTINGS, best_settings


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_every_peer_has_a_module_pinned_packages_and_settings(peer: Peer) -> None:
    assert find_spec(f"benchmarks.peer_servers.{peer.module}") is not None
    pinned = [line.split("==") for line in peer.requirements.read_text().splitlines()]
    assert all(len(parts) == 2 for parts in pinned), "pin every package with =="
    names = {name.lower().replace("_", "-") for name, _ in pinned}
    assert set(peer.packages) <= names
    assert "torch" not in names
    assert set(peer.workloads) <= set(WORKLOADS)
    tried = peer.candidates(best_settings(peer.name), 2)
    assert len(set(map(repr, tried))) == len(tried) >= 1


def test_all_environments_have_one_version_of_onnx_runtime() -> None:
    lines = [peer.requirements.read_text().splitlines() for peer in PEERS.values()]
    assert len({line for own in lines for line in own if line.startswith("onnxruntime==")}) == 1


def test_settings_are_stated_with_how_they_were_found() -> None:
    document = json.loads(SETTINGS.read_text())
    assert set(document) == set(PEERS)
    assert all(entry["found"] for entry in document.values())


def test_the_published_example_keeps_its_published_batches() -> None:
    for name in ("ray-serve", "ray-serve-throughput"):
        assert best_settings(name) == Settings(workers=1, threads=1, batch=100, wait_ms=50.0, fronts=2)
        assert not PEERS[name].grid


def test_options_reach_another_process_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    options = PeerOptions("walks", "/a b", 8000, 200, users="/u", settings=Settings(batch=7, wait_ms=0.5))
    for name, value in options.environment().items():
        monkeypatch.setenv(name, value)
    assert PeerOptions.read() == options
