"""What Serve's control plane costs against the number of replicas, which do nothing: all on one machine."""

import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from autoscale.profiles import write_profile
from benchmarks.autoscaling.control import control_config
from benchmarks.autoscaling.waiting import waiting_profile
from benchmarks.growth.chart import Chart, Panel, Points, Values
from benchmarks.growth.null_unit import IMPORT_PATH
from benchmarks.growth.policy_time import policy_ms
from benchmarks.harness.meters.memory import memory_of
from benchmarks.harness.meters.processes import CpuMeter, core_seconds_by_role
from benchmarks.harness.servers import MARK, free_port
from services.app import PipelineArgs, replicas_options
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.config.placement import placements
from services.deployment.local_cluster import local_cluster
from services.deployment.serve_config import serve_config
from services.ray_internals.serve import deploy_document, serve_details

_XS = (1, 2, 4, 8, 16, 32, 48, 64)
_CPUS = 0.02
_START_LIMIT_S, _SETTLE_S, _POLL_S = 150.0, 2.5, 0.2
_MIB_PER_REPLICA, _RESERVED_MIB = 110, 4096
POLICY, LOOP, DETAILS, PARSE = (
    "policy",
    "controller CPU per loop",
    "reading Serve's details",
    "HAProxy reads its configuration",
)
CONTROLLER, OTHERS = "controller", "replicas, raylet and GCS"
HAPROXY_MIB, PRIVATE_MIB = "HAProxy MiB", "private MiB per replica"


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Start one cluster, and measure it idle at each number of replicas."""
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark
    meter = CpuMeter(f"{MARK}={mark}")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rankway-growth-") as folder:
        home = Path(folder)
        write_profile(waiting_profile(5.0), home / "profile.json")
        most = _config(port, max(xs))
        with local_cluster(most):
            for count in xs:
                if psutil.virtual_memory().available < (_RESERVED_MIB + count * _MIB_PER_REPLICA) << 20:
                    raise SystemExit(f"replicas: too little memory for {count}; end other programs")
                config = _config(port, count)
                deploy_document(_document(config, most, home))
                _wait(config.name, count)
                time.sleep(_SETTLE_S)
                yield count, _values(meter, count, settings["seconds"])


def _config(port: int, count: int) -> PipelineConfig:
    """Return a pipeline with exactly ``count`` replicas. The policy decides about them all the same."""
    data = control_config({"kind": "slo", "down_window_s": 30}, port).model_dump(mode="json")
    data["record"] = None
    data["units"]["main"] |= {"cpus": _CPUS, "replicas": count}
    data["autoscaling"]["bounds"] = {"main": {"min_replicas": count, "max_replicas": count}}
    return validated(data, "control-plane")


def _document(config: PipelineConfig, most: PipelineConfig, home: Path) -> dict[str, Any]:
    """Return the Serve config. Its arguments are those of ``most`` replicas, because other arguments restart all."""
    document = serve_config(config, home)
    application = document["applications"][0]
    application["import_path"] = IMPORT_PATH
    args = PipelineArgs(config=most, home=str(home), policy_beside=True)
    application["args"] = args.model_dump(mode="json")
    placement = placements(config, config.ingress_unit)[0]
    options = replicas_options(placement, PipelineArgs(config=config, home=str(home), policy_beside=True))
    scaling = options["autoscaling_config"].model_dump(mode="json", exclude_unset=True)
    application["deployments"] = [{"name": placement.deployment, "autoscaling_config": scaling}]
    return document


def _wait(name: str, count: int) -> None:
    ends_s = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < ends_s:
        application = serve_details()["applications"].get(name, {"deployments": {}})
        states = [
            replica["state"]
            for deployment in application["deployments"].values()
            for replica in deployment["replicas"]
        ]
        if states == ["RUNNING"] * count:
            return
        time.sleep(_POLL_S)
    raise RuntimeError(f"{count} replicas did not start within {_START_LIMIT_S:.0f} s")


def _values(meter: CpuMeter, count: int, seconds: float) -> Values:
    loops = _loops()
    before, started_s = meter.read(), time.perf_counter()
    time.sleep(seconds)
    after, wall_s = meter.read(), time.perf_counter() - started_s
    used, loops = core_seconds_by_role(before, after), _loops() - loops
    roles: dict[str, list[int]] = {}
    for pid, process in after.items():
        roles.setdefault(process.role, []).append(pid)
    return {
        POLICY: policy_ms(count),
        LOOP: used.get("controller", 0.0) * 1e3 / loops,
        DETAILS: _median_ms(serve_details),
        PARSE: _median_ms(lambda: _parse(roles["haproxy"][0])),
        CONTROLLER: used.get("controller", 0.0) / wall_s,
        OTHERS: sum(used.get(role, 0.0) for role in ("replica", "raylet", "gcs")) / wall_s,
        HAPROXY_MIB: max(sum(memory_of(pid)) for pid in roles["haproxy"]) / 2**20,
        PRIVATE_MIB: median(memory_of(pid)[0] for pid in roles["replica"]) / 2**20,
    }


def _loops() -> int:
    loops: int = serve_details()["controller_health_metrics"]["num_control_loops"]
    return loops


def _parse(pid: int) -> None:
    """Let HAProxy check the running configuration. A reload does the same, and takes over the sockets."""
    program = os.readlink(f"/proc/{pid}/exe")
    path = _argument(pid, "-f")
    done = subprocess.run(
        [program, "-c", "-f", path], timeout=30, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"HAProxy refuses its own configuration {path}: {done.stderr}")


def _argument(pid: int, option: str) -> str:
    """Return the argument after an option in a process's command line."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index(option) + 1]


def _median_ms(run: Any) -> float:
    times_s = []
    for _ in range(9):
        started_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - started_s)
    return float(median(times_s)) * 1e3


CHART = Chart(
    name="control-plane",
    title="Serve's control plane with idle replicas that have no model. Dotted to 400: extrapolated by a fit",
    x_label="replicas",
    xs=_XS,
    panels=(
        Panel("ms", (LOOP, POLICY, DETAILS, PARSE), bend_of=LOOP, extrapolate_to=400),
        Panel("busy cores", (CONTROLLER, OTHERS), bend_of=CONTROLLER, extrapolate_to=400),
        Panel("MiB", (HAPROXY_MIB, PRIVATE_MIB), scale="linear", extrapolate_to=400),
    ),
    measure=measure,
    settings={"seconds": 6.0},
)
