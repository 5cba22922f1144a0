"""Serve's settings, and one service's ports and files."""

import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from models.no_telemetry import NO_TELEMETRY
from services.deployment.ray_settings import (
    apply_settings,
    free_ports,
    local_settings,
    runtime_directory,
    throughput_settings,
)


def test_two_services_on_one_machine_share_no_file(tmp_path: Path) -> None:
    ports = free_ports()
    one, other = local_settings(ports, tmp_path / "one"), local_settings(ports, tmp_path / "other")
    files = {name for name, value in one.items() if value.startswith(str(tmp_path))}
    assert len(files) >= 5
    assert all(one[name] != other[name] for name in files)


def test_finds_free_and_distinct_ports() -> None:
    ports = free_ports()
    singles = astuple(ports)
    assert len(set(singles)) == len(singles)
    assert ports.replica_grpc - ports.replica_http >= 64
    for port in singles:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_skips_block_with_a_port_in_use() -> None:
    first = free_ports()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first.replica_http + 3))
        listener.listen()
        assert free_ports().replica_http != first.replica_http


def test_keeps_settings_of_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_NBTHREAD", "7")
    monkeypatch.delenv("RANKWAY_TEST_ONLY", raising=False)
    apply_settings({"RAY_SERVE_HAPROXY_NBTHREAD": "1"})
    import os

    assert os.environ["RAY_SERVE_HAPROXY_NBTHREAD"] == "7"


def test_installed_ray_reads_every_setting() -> None:
    import ray

    root = Path(ray.__file__).parent
    sources = [
        root / "serve/_private/constants.py",
        root / "_private/ray_constants.py",
        root / "_common/usage",
    ]
    text = "".join(
        path.read_text()
        for source in sources
        for path in ([source] if source.is_file() else sorted(source.rglob("*.py")))
    )
    raylet = (root / "core/src/ray/raylet/raylet").read_bytes()
    names = {
        *throughput_settings().keys() - NO_TELEMETRY.keys(),
        *local_settings(free_ports(), Path("/nowhere")),
    }
    # Lower-case names after RAY_ are settings of Ray's core, which is not written in Python.
    core = {name for name in names if name.removeprefix("RAY_").islower()}
    assert [name for name in sorted(names - core) if f'"{name}"' not in text] == []
    assert [name for name in sorted(core) if name.removeprefix("RAY_").encode() not in raylet] == []


def test_socket_paths_are_short_enough() -> None:
    directory = runtime_directory()
    try:
        assert len(str(directory / "metrics.sock")) < 100
    finally:
        directory.rmdir()
