"""Control: the same policy on the same trace, on a real local Ray and in the simulator, side by side."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autoscale.config import make_policy
from autoscale.profiles import write_profile
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import Key
from autoscale.traces.recorded_traffic import read_traffic
from benchmarks.autoscaling.waiting import IMPORT_PATH, arrivals, waiting_profile
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_open
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.servers import free_port
from services.autoscaling.spec import lowered
from services.config.loading import load_config, validated
from services.config.pipeline import PipelineConfig
from services.deployment.deploy import deploy
from services.deployment.local_cluster import local_cluster
from services.deployment.ray_settings import ServicePorts, local_settings
from services.deployment.serve_config import serve_config
from services.ray_internals.serve import serve_details

_CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dlrm.yaml"
_MAIN = Key("main", "local")
_CANDIDATES = 32
_PROFILE, _TRAFFIC = "profile.json", "traffic"
_EXPECTED_STARTUP_S = 5.0
_LOOKS_PER_S = 4.0
_LEAD_S, _TAIL_S = 8.0, 15.0
"""Seconds before the first request, so that metrics exist by then, and seconds after the last request."""
_DRAIN_S = float(
    local_settings(ServicePorts(*[0] * 7), Path())["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"]
)
_ALIVE = ("STARTING", "UPDATING", "RECOVERING", "RUNNING", "STOPPING")


@dataclass
class Curve:
    """Replicas over time.

    Attributes:
        at_s: seconds since the open loop started.
        target: requested replicas.
        alive: replicas that exist, including those that start or stop.
        ready: replicas that serve.
    """

    at_s: list[float] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)

    def seconds_of(self, values: list[int], until_s: float) -> float:
        """Return the integral over ``values`` from 0 to ``until_s``. Each value holds until the next."""
        times = np.clip([*self.at_s, until_s], 0.0, until_s)
        return float(np.sum(np.diff(times) * values))

    def rises(self) -> list[tuple[float, int]]:
        """Return each replica count that the target rose to, with the time. A rise from 2 to 4 gives 3 and 4."""
        rises: list[tuple[float, int]] = []
        for at_s, before, after in zip(self.at_s[1:], self.target, self.target[1:], strict=False):
            rises += [(at_s, number) for number in range(before + 1, after + 1)]
        return rises


@dataclass(frozen=True, slots=True)
class Control:
    """The results of the live run and of the simulation.

    Attributes:
        rises: live time, simulated time and replicas for every step up that occurred in both runs.
        unmatched: steps up that occurred in only one of the runs.
        decisions: time, replicas and reason for each decision that changed something, ``live`` and ``simulated``.
    """

    seconds: float
    requests: int
    policy: str
    startup_s: float
    live_replica_seconds: float
    simulated_replica_seconds: float
    live_ready_seconds: float
    simulated_ready_seconds: float
    rises: list[tuple[float, float, int]]
    unmatched: int
    live_p99_ms: float
    simulated_p99_ms: float
    live_peak: int
    simulated_peak: int
    decisions: dict[str, list[tuple[float, int, str]]]
    curve: dict[str, Any]

    @property
    def difference(self) -> float:
        """Relative error of the simulated replica-seconds: simulated / live - 1."""
        return self.simulated_replica_seconds / self.live_replica_seconds - 1

    @property
    def worst_rise_s(self) -> float:
        """The largest difference between the live and the simulated time of a step up, in seconds."""
        return max((abs(live - simulated) for live, simulated, _ in self.rises), default=0.0)


def control_config(policy: dict[str, Any], port: int) -> PipelineConfig:
    """Return the DLRM's pipeline for one unit that waits instead of computing: 0.1 CPU each, at most 16 replicas."""
    data = load_config(_CONFIG).model_dump(mode="json")
    data["http"]["port"] = port
    data["requests"]["default_deadline_ms"] = 5000
    data["record"] = {"path": _TRAFFIC, "roll_s": _TAIL_S / 3}
    data["units"]["main"] |= {
        "replicas": 1,
        "cpus": 0.1,
        "batching": {"max_candidates": 128},
        "profile": _PROFILE,
    }
    data["autoscaling"] = {
        "policy": policy,
        "p99_ms": 400,
        "decision_interval_s": 1,
        "bounds": {"main": {"min_replicas": 1, "max_replicas": 16}},
    }
    if policy["kind"] != "target_ongoing":
        data["autoscaling"]["limits"] = {"down_cooldown_s": 10}
    return validated(data, "control")


def run_control(
    home: Path, policy: dict[str, Any], seconds: float, peak_per_s: float, report: Callable[[str], None]
) -> Control:
    """Run the live service, then the simulator on the same arrivals."""
    config = control_config(policy, free_port())
    expected = waiting_profile(_EXPECTED_STARTUP_S)
    write_profile(expected, home / _PROFILE)
    times_s = arrivals(seconds, peak_per_s, seed=11)
    curve, result_p99_ms, decisions = _live(config, home, times_s, seconds, report)
    seen_startup_s = startup_s(curve)
    report(f"simulating with the measured start-up time of {seen_startup_s:.1f} s")
    spec = lowered(config, {_MAIN: waiting_profile(seen_startup_s)})
    assert config.autoscaling is not None
    look_back_s = float(getattr(config.autoscaling.policy, "look_back_period_s", 30.0))
    simulation = simulate(
        spec,
        make_policy(config.autoscaling, lowered(config, {_MAIN: expected})),
        [(times_s, np.full(len(times_s), _CANDIDATES, np.int32))],
        SimulationOptions(
            start_s=-_LEAD_S,
            end_s=seconds + _TAIL_S,
            look_back_s=look_back_s,
            control_interval_s=0.5,
            ingress_drain_s=_DRAIN_S,
            bin_s=1.0,
            decisions="changes",
        ),
    )
    simulated = Curve([0.0], [1], [1], [1])
    for decision in simulation.decisions:
        simulated.at_s.append(decision.at_s)
        simulated.target.append(decision.replicas[str(_MAIN)])
    rises, unmatched = paired(curve.rises(), simulated.rises())
    unit = simulation.units[str(_MAIN)]
    return Control(
        seconds=seconds,
        requests=len(times_s),
        policy=policy["kind"],
        startup_s=seen_startup_s,
        live_replica_seconds=curve.seconds_of(curve.alive, seconds + _TAIL_S),
        simulated_replica_seconds=unit.replica_seconds - _LEAD_S,  # one replica during the lead
        live_ready_seconds=curve.seconds_of(curve.ready, seconds + _TAIL_S),
        simulated_ready_seconds=unit.ready_seconds - _LEAD_S,
        rises=rises,
        unmatched=unmatched,
        live_p99_ms=result_p99_ms,
        simulated_p99_ms=simulation.latency.p99_ms,
        live_peak=max(curve.target),
        simulated_peak=max(simulated.target),
        decisions={
            "live": decisions,
            "simulated": [
                (d.at_s, d.replicas[str(_MAIN)], d.reasons[str(_MAIN)]) for d in simulation.decisions
            ],
        },
        curve=asdict(curve),
    )


def _live(
    config: PipelineConfig,
    home: Path,
    times_s: "np.ndarray[Any, Any]",
    seconds: float,
    report: Callable[[str], None],
) -> tuple[Curve, float, list[tuple[float, int, str]]]:
    document = serve_config(config, home)
    document["applications"][0]["import_path"] = IMPORT_PATH
    body = b'{"user_id": "u-000001", "k": 5}'
    requests = [http_request("127.0.0.1", "/v1/rank", body)]
    loop = OpenLoop(
        requests,
        len(times_s) / seconds,
        seconds,
        connections=512,
        grace_s=8.0,
        times_s=times_s.tolist(),
        prime=health_request("127.0.0.1"),
    )
    curve, stop = Curve(), threading.Event()
    with local_cluster(config):
        deploy(config, home, lambda _text: None, document)
        time.sleep(_LEAD_S)
        report(f"sending {len(times_s)} requests over {seconds:.0f} s")
        watcher = threading.Thread(target=_watch, args=(config.name, curve, stop), daemon=True)
        watcher.start()
        result = run_open("127.0.0.1", config.http.port, loop)
        origin_s = time.time() - (time.perf_counter() - loop.started_s)
        time.sleep(max(0.0, seconds + _TAIL_S - (time.perf_counter() - loop.started_s)))
        stop.set()
        watcher.join()
        traffic = read_traffic(home / _TRAFFIC)
    curve.at_s = [at_s - loop.started_s for at_s in curve.at_s]
    report(f"statuses {result.statuses}, errors {result.errors}, missed {result.missed}")
    decided = [(d.at_s + traffic.origin_s - origin_s, d.replicas, d.reason) for d in traffic.decisions]
    return curve, result.p99_ms, [(round(at_s, 2), number, why) for at_s, number, why in decided]


def _watch(application: str, curve: Curve, stop: threading.Event) -> None:
    while not stop.is_set():
        details = serve_details()["applications"][application]["deployments"]["main"]
        states = [replica["state"] for replica in details["replicas"]]
        curve.at_s.append(time.perf_counter())
        curve.target.append(int(details["target_num_replicas"]))
        curve.alive.append(sum(state in _ALIVE for state in states))
        curve.ready.append(sum(state == "RUNNING" for state in states))
        stop.wait(1 / _LOOKS_PER_S)


def startup_s(curve: Curve) -> float:
    """Return the median time from a step up until its replicas were ready, or 5 s if there was no such step.

    Steps are left out if a step down followed before their replicas were ready.
    """
    waits = []
    for at_s, number in curve.rises():
        for later_s, target, ready in zip(curve.at_s, curve.target, curve.ready, strict=True):
            if later_s < at_s:
                continue
            if target < number:
                break
            if ready >= number:
                waits.append(later_s - at_s)
                break
    return float(np.median(waits)) if waits else 5.0


def paired(
    live: list[tuple[float, int]], simulated: list[tuple[float, int]]
) -> tuple[list[tuple[float, float, int]], int]:
    """Pair each live step up with the nearest simulated step up to the same replica count.

    Returns:
        The pairs as (live time, simulated time, replica count), and the number of unpaired steps in both runs.
    """
    remaining, pairs = list(simulated), []
    for at_s, number in live:
        same = [step for step in remaining if step[1] == number]
        if same:
            nearest = min(same, key=lambda step: abs(step[0] - at_s))
            remaining.remove(nearest)
            pairs.append((round(at_s, 2), round(nearest[0], 2), number))
    return pairs, len(live) - len(pairs) + len(remaining)
