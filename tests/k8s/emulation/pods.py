"""An emulated pod: ``ray start`` as KubeRay writes it, with separate ports, because all pods share one machine."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.deployment.ray_settings import ServicePorts, local_settings
from tests.k8s.emulation import trees
from tests.k8s.emulation.manifest import Group

ROOT = Path(__file__).resolve().parents[3]
POD_NAME = "RAY_CLOUD_INSTANCE_ID"
_STARTED = "Ray runtime started."
_GRACE_S = 20.0
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_PORTS_PER_POD = 6
_OWN_PARAMS = (
    "block",
    "dashboard-host",
    "metrics-export-port",
    "dashboard-agent-listen-port",
    "object-store-memory",
)
"""Flags from KubeRay or a manifest. They must differ between pods on one machine."""


@dataclass(frozen=True)
class Machine:
    """The machine that runs all pods.

    Attributes:
        ports: reserved ports. Pods use the block for replicas' gRPC, which is off here.
        directory: folder for its files.
        environment: variables for all processes, including the mark by which they are found.
    """

    ports: ServicePorts
    directory: Path
    environment: Mapping[str, str]

    @property
    def gcs_port(self) -> int:
        """The head's port for all nodes. It is the same after a restart."""
        return self.ports.replica_grpc

    @property
    def dashboard_port(self) -> int:
        """The port that receives serveConfigV2."""
        return self.ports.replica_grpc + 1

    @property
    def http_port(self) -> int:
        """The head's own proxy port."""
        return self.ports.replica_grpc + 2

    @property
    def client_port(self) -> int:
        """The port of Ray's client server, which the head always has."""
        return self.ports.replica_grpc + 3

    def ports_of(self, pod: int) -> range:
        """Return a pod's ports by its number. Numbers of ended pods are reused."""
        first = self.ports.replica_grpc + 4 + _PORTS_PER_POD * pod
        assert first + _PORTS_PER_POD <= self.ports.haproxy_metrics, "too few ports for this number of pods"
        return range(first, first + _PORTS_PER_POD)


class Pod:
    """One pod's processes."""

    def __init__(
        self, name: str, group: Group, number: int, machine: Machine, on_change: Callable[["Pod"], None]
    ) -> None:
        """Create a pending pod. ``on_change`` is called when Ray runs in it, and when its main process ends."""
        self.name, self.group, self.number = name, group, number
        self.up = threading.Event()
        self.deleting = False
        self._machine, self._on_change = machine, on_change
        self._output: deque[str] = deque(maxlen=40)
        self._ended = threading.Event()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the container."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *self._flags()],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), name=self.name, daemon=True).start()

    @property
    def http_port(self) -> int:
        """This node's proxy port."""
        return self._machine.http_port if self.group.is_head else self._machine.ports_of(self.number)[0]

    @property
    def is_pending(self) -> bool:
        """Whether the container has not been started yet."""
        return self._process is None

    @property
    def has_ended(self) -> bool:
        """Whether the main process, and with it the container, has ended."""
        return self._ended.is_set()

    @property
    def last_output(self) -> str:
        """The last lines of the pod's output, or "up"."""
        return "up" if self.up.is_set() else " | ".join(self._output)

    def processes(self) -> list[psutil.Process]:
        """Return all processes in the pod."""
        return trees.marked(f"{POD_NAME}={self.name}")

    def kill(self) -> None:
        """Kill all processes at once, as if the node was lost."""
        trees.kill(self.processes())

    def stop(self) -> None:
        """Delete the pod: send SIGTERM, wait for the grace period, then send SIGKILL to the remaining processes."""
        if self._process is None:
            self._ended.set()
            self._on_change(self)
            return
        processes = self.processes()
        self._process.terminate()
        self._ended.wait(_GRACE_S)
        trees.kill([each for each in {*processes, *self.processes()} if each.is_running()])

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._output.append(line.rstrip())
                if _STARTED in line:
                    self.up.set()
                    self._on_change(self)
        process.wait()
        self._ended.set()
        self._on_change(self)

    def _flags(self) -> list[str]:
        machine, ports = self._machine, self._machine.ports_of(self.number)
        flags = {name: value for name, value in self.group.start_params.items() if name not in _OWN_PARAMS}
        flags |= {
            "node-ip-address": "127.0.0.1",
            # A short name, because socket paths in this folder have a limited length.
            "temp-dir": str(machine.directory / self.name.rpartition("-")[2]),
            "object-store-memory": str(_OBJECT_STORE_BYTES),
            # 0 means any port. The default range would be the same for all pods.
            "min-worker-port": "0",
            "max-worker-port": "0",
            "metrics-export-port": str(ports[1]),
            "dashboard-agent-listen-port": str(ports[2]),
            "dashboard-agent-grpc-port": str(ports[3]),
            "include-log-monitor": "false",
        }
        if not self.group.is_head:
            return _written(flags | {"address": f"127.0.0.1:{machine.gcs_port}"})
        flags |= {
            "port": str(machine.gcs_port),
            "dashboard-host": "127.0.0.1",
            "dashboard-port": str(machine.dashboard_port),
            "ray-client-server-port": str(machine.client_port),
        }
        return ["--head", "--no-monitor", *_written(flags)]  # the autoscaler has its own container

    def _environment(self) -> dict[str, str]:
        """Return the container's environment: from the manifest, KubeRay and this machine."""
        machine, ports = self._machine, self._machine.ports_of(self.number)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RANKWAY_"))
        }
        own = {
            POD_NAME: self.name,
            "RAY_NODE_TYPE_NAME": self.group.name,
            "RAY_ADDRESS": f"127.0.0.1:{machine.gcs_port}",
            "RAY_SERVE_KV_TIMEOUT_S": "5",
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "disabled",
        }
        if self.group.is_head:
            own["RAY_enable_autoscaler_v2"] = "1"
        else:
            own |= {
                "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
                "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(ports[0]),
            }
        settings = local_settings(machine.ports, machine.directory)
        apart = {
            "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "2",
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[4]),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[5]),
        }
        return {**inherited, **self.group.environment, **settings, **apart, **own, **machine.environment}


def _written(flags: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]
