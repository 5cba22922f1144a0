"""Find ports on which this service's processes listen beyond loopback."""

import os

import psutil

_LOOPBACK = ("127.", "::1")


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
