"""Ray's own KubeRay autoscaler, a container in the head's pod. It is restarted whenever it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.k8s.emulation.operator import HEAD, Operator
from tests.k8s.emulation.pods import ROOT, Machine

_UPDATE_INTERVAL_S = 2
"""Shorter than the default, 5, so that the emulation takes only minutes."""
_LOOK_S = 0.5
_STOP_LIMIT_S = 30.0


class Sidecar:
    """The autoscaler's current process."""

    def __init__(self, operator: Operator, machine: Machine, api_port: int) -> None:
        """Start the autoscaler when the head is up, and restart it whenever it ends."""
        self._operator, self._machine, self._api_port = operator, machine, api_port
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="autoscaler", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End the process. It is restarted with the next head."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process, and do not restart it."""
        self._stop.set()
        self.kill()
        self._thread.join(_STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            heads = self._operator.pods(HEAD)
            if heads and heads[0].up.is_set() and not heads[0].has_ended:
                with (self._machine.directory / "autoscaler.log").open("ab") as log:
                    self._process = self._started(heads[0].name, log.fileno())
                    if self._stop.is_set():
                        self._process.kill()
                    self._process.wait()

    def _started(self, head: str, log: int) -> "subprocess.Popen[bytes]":
        metadata = self._operator.cluster["metadata"]
        certificates = self._machine.directory
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RANKWAY_"))
        }
        environment |= {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT_HTTPS": str(self._api_port),
            "RAY_KUBERAY_CA_CERT_PATH": str(certificates / "ca.pem"),
            "RAY_KUBERAY_CLIENT_CERT_PATH": str(certificates / "server.pem"),
            "RAY_KUBERAY_CLIENT_KEY_PATH": str(certificates / "server.key"),
            "RAY_HEAD_POD_NAME": head,
            "RAY_AUTH_MODE": "disabled",
            "AUTOSCALER_UPDATE_INTERVAL_S": str(_UPDATE_INTERVAL_S),
            **self._machine.environment,
        }
        command = ["kuberay-autoscaler", "--cluster-name", metadata["name"]]
        command += ["--cluster-namespace", metadata["namespace"]]
        command += ["--gcs-address", f"127.0.0.1:{self._machine.gcs_port}"]
        return subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *command],
            cwd=ROOT,
            # The autoscaler calls `ray`, which is in the interpreter's folder.
            env=environment | {"PATH": f"{os.path.dirname(sys.executable)}:{environment['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def autoscaler(operator: Operator, machine: Machine, api_port: int) -> Iterator[Sidecar]:
    """Run the autoscaler with the Kubernetes API on this loopback port."""
    sidecar = Sidecar(operator, machine, api_port)
    try:
        yield sidecar
    finally:
        sidecar.close()
