"""Ray Serve's settings for throughput, and one service's ports and files.

The settings are environment variables. They must be set on every node before Ray starts. The reasons for the settings:

- HAProxy and the throughput settings together reduce the latency of a request that does nothing from 4.9 to 0.6 ms.
- One HAProxy thread suffices for two cores.
- HAProxy's metrics are off. They would take a datagram per request, and Rankway's own metrics replace them.
- A request that fits HAProxy's buffer is sent again if its replica dies before answering. HAProxy copies the
  whole buffer with each request. A buffer of 64 KiB took a sixth of its time. 32 KiB hold a thousand candidate ids.
- The controller runs its loop twice per second. Ten times per second took 3.5% of a core in an idle service.
- Workers run at niceness 0. With Ray's default of 15, any other process on the node, even the load generator, would run
  before a replica.

A silent client is disconnected. HAProxy waits ``REQUEST_HEAD_LIMIT_S`` for a request's complete head, and
``CLIENT_SILENCE_LIMIT_S`` for the next byte of a body or for a client to read its answer. Neither setting limits how
long an answer may take. An idle connection between two requests is kept for Ray's ``keep_alive_timeout_s``, 90 s.
Without the first limit, a client that never completes its request's head would hold a slot of ``maxconn`` for an hour.
"""

import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.no_telemetry import NO_TELEMETRY
from services.ingress.fast_path import IMPORT_PATH as FAST_PATH_IMPORT

REQUEST_HEAD_LIMIT_S = 5
# Above the 10 s that a replica waits for a body, so that a slow body gets the replica's own error document.
# HAProxy applies this limit to WebSockets too, because Ray renders no `timeout tunnel`. An idle socket is
# closed after this time, so a service with WebSockets must send pings more often.
CLIENT_SILENCE_LIMIT_S = 15
_RETRIABLE_BYTES = 32_768
_REPLICA_PORTS = 64
_FIRST_PORT, _LAST_PORT = 20_000, 32_000  # below Linux's ephemeral range, which begins at 32768


@dataclass(frozen=True, slots=True)
class ServicePorts:
    """One service's ports on one machine.

    Attributes:
        replica_http: the first port of a range of 64.
        replica_grpc: the first port of a range of 64.
    """

    replica_http: int
    replica_grpc: int
    haproxy_metrics: int
    haproxy_stats: int
    fallback_http: int
    fallback_grpc: int
    metrics_export: int


def throughput_settings() -> dict[str, str]:
    """Return the settings for every node."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_LOG_TARGET": "127.0.0.1:514 sample 1:1000000",
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        "RAY_SERVE_HAPROXY_RETRIES": "4",
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(_RETRIABLE_BYTES),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": FAST_PATH_IMPORT,
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(CLIENT_SILENCE_LIMIT_S),
        "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": _balance(),
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_ENABLE_TASK_EVENTS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        **NO_TELEMETRY,
    }


def _balance() -> str:
    """Return Ray's default balancing algorithm, followed by lines with two settings for which Ray has no variable.

    Ray writes this value once, unchanged, as the last line in HAProxy's section ``defaults``. So the additional lines
    become settings in that section. A test renders the installed Ray's template to verify this.

    The last setting, ``http-ignore-probes``, concerns connections that a client opens in advance. HAProxy closes them
    without an answer, because a client would take a 408 as the answer to the request that it is just sending.
    """
    return f"leastconn\n    timeout http-request {REQUEST_HEAD_LIMIT_S}s\n    option http-ignore-probes"


def local_settings(ports: ServicePorts, directory: Path) -> dict[str, str]:
    """Return settings with which several services can run on one machine, and each can stop quickly."""
    return {
        # Serve's default of 30 s lets remote load balancers stop using a replica. Here HAProxy is the only load
        # balancer, and Serve tells it directly.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replica_http),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replica_http + _REPLICA_PORTS - 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.replica_grpc),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.replica_grpc + _REPLICA_PORTS - 1),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.haproxy_metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.haproxy_stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.fallback_grpc),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(directory / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(directory / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(directory / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(directory),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(directory / "server-state"),
    }


def apply_settings(settings: Mapping[str, str]) -> None:
    """Set the environment variables that the operator has not set."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def runtime_directory() -> Path:
    """Make a directory for this service's sockets and files.

    It is in /tmp, because a Unix socket's path must be short.
    """
    return Path(tempfile.mkdtemp(prefix="rankway-", dir="/tmp"))


def free_ports() -> ServicePorts:
    """Find ports on which nothing listens, including two whole ranges for the replicas.

    Raises:
        OSError: there are not enough free ports.
    """
    block = 2 * _REPLICA_PORTS + 8
    # Start at a position that depends on the process id, so that two services that start together try different ports.
    blocks = (_LAST_PORT - _FIRST_PORT) // block
    for attempt in range(blocks):
        first = _FIRST_PORT + (os.getpid() + attempt) % blocks * block
        if all(_is_free(port) for port in range(first, first + block)):
            singles = first + 2 * _REPLICA_PORTS
            return ServicePorts(first, first + _REPLICA_PORTS, *range(singles, singles + 5))
    raise OSError(
        f"no {block} consecutive free ports between {_FIRST_PORT} and {_LAST_PORT}; stop a service that uses some of "
        f"them"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
