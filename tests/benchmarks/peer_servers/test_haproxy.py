from pathlib import Path

from benchmarks.harness.servers import free_port
from benchmarks.peer_servers.haproxy import haproxy_config
from tests.services.proxies import faults_of, rendered

OWN = ("    bind ", "    server ", "frontend ", "backend ", "    default_backend ")
WITHOUT_RAY = {"    option httpchk GET /healthz", "    timeout server 15s"}


def test_haproxy_accepts_the_plain_configuration(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(haproxy_config(free_port(), [free_port(), free_port()]))
    assert faults_of(config) == ""


def test_every_setting_is_one_of_the_proxy_in_front_of_rankway(tmp_path: Path) -> None:
    ours = rendered(tmp_path, free_port(), free_port()).read_text().splitlines()
    plain = haproxy_config(1, [2, 3]).splitlines()
    settings = {line for line in plain if not line.startswith(OWN)}
    # Ray renders idle-close-on-response only when it reuses an earlier HAProxy's state, which this test switches off.
    assert settings - set(ours) == WITHOUT_RAY | {"    option idle-close-on-response"}
