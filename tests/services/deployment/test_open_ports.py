"""Ports that are open beyond loopback."""

import subprocess
import sys

import pytest

from services.deployment.open_ports import exposed_ports

LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
if ":" in sys.argv[1]: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind((sys.argv[1], 0)); s.listen(); print(s.getsockname()[1], flush=True); sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("address", "is_exposed"), [("0.0.0.0", True), ("127.0.0.1", False), ("::ffff:127.0.0.1", False)]
)
def test_finds_listener_of_a_child_that_is_bound_beyond_loopback(address: str, is_exposed: bool) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LISTEN, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        port = int(child.stdout.readline())
        assert (port in {number for number, _ in exposed_ports()}) is is_exposed
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(timeout=10)
