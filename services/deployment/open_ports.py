"""Find ports on which this service's processes listen beyond loopback.

Ray itself binds to loopback only (``services/ray_internals/cluster.py``). Serve has no setting for the address of
HAProxy's ports for statistics and metrics, and of one gRPC port of each replica.
"""

import os

import psutil

_LOOPBACK = ("127.", "::1", "::ffff:127.")  # the last: IPv4 through a socket for both


def exposed_ports() -> list[tuple[int, str]]:
    """Return the port and process name of each child process's listener, except listeners bound to loopback."""
    ports: set[tuple[int, str]] = set()
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and not connection.laddr.ip.startswith(_LOOPBACK):
                    ports.add((connection.laddr.port, process.name()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sorted(ports)
