"""The small pipeline with a ranker in two pools: a cheap one on CPUs, which is soon full, and one on invented GPUs."""

from pathlib import Path
from typing import Any

from autoscale.profiles import Profile, Timing, write_profile
from tests.pipelines import SPLIT, make_pipeline, merged

CANDIDATES = 20
CPU_MS, GPU_MS = 1.0, 0.1
"""The wait for each candidate. A replica on a CPU serves 1,000 candidates/s and one on a GPU 10,000, at most."""
CPU_MOST, GPU_MOST = 2, 2
TRAFFIC = "traffic"
SPILLING: dict[str, Any] = merged(
    SPLIT,
    {
        "trust": ["tests"],
        "candidates": {"count": CANDIDATES},
        "models": {
            "ranker": {
                "runtime": {
                    "kind": "python",
                    "target": "tests.services.spilling.waiting_runtime:WaitingRuntime",
                    "options": {"cpu_ms": CPU_MS, "gpu_ms": GPU_MS},
                }
            }
        },
        "record": {"path": TRAFFIC, "roll_s": 2},
        # A candidate costs a quarter as much on a CPU as on a GPU.
        "pools": {
            "cpu": {"cpus": 4, "memory_gib": 8, "price_per_hour": 1, "provisioning_s": 0, "max_nodes": 1},
            "gpu": {"cpus": 4, "memory_gib": 8, "gpus": 2, "price_per_hour": 10, "provisioning_s": 0},
        },
        "units": {
            "main": {
                "cpus": 0.2,
                "batching": {"max_candidates": 2 * CANDIDATES},
                "max_calls_in_flight": 64,
                "pools": {"cpu": {"profile": "main-cpu.json"}},
            },
            "scorer": {
                "batching": {"max_candidates": 2 * CANDIDATES},
                "pools": {
                    "cpu": {"cpus": 0.5, "profile": "scorer-cpu.json"},
                    "gpu": {"cpus": 0.5, "gpus": 1, "replicas": 0, "profile": "scorer-gpu.json"},
                },
            },
        },
        "autoscaling": {
            "p99_ms": 500,
            "decision_interval_s": 1,
            "policy": {
                "kind": "cheapest",
                "forecast": None,
                "window_s": 3,
                "panic_window_s": 1,
                "down_window_s": 3,
                "drain_s": 2,
                "max_added": 0,
            },
            "limits": {"down_cooldown_s": 1, "stale_after_s": 5},
            "bounds": {
                "main": {"max_replicas": 1},
                "scorer@cpu": {"max_replicas": CPU_MOST},
                "scorer@gpu": {"max_replicas": GPU_MOST},
            },
        },
    },
)


def spilling_profiles(startup_s: float = 4.0) -> list[Profile]:
    """Return the profiles of the ingress and of the ranker in its two pools."""
    return [
        Profile(
            unit=unit,
            pool=pool,
            machine="invented: it waits instead of computing",
            timings=tuple(
                Timing(requests=n, candidates=n * CANDIDATES, p50_ms=ms, p99_ms=ms, mean_ms=ms, runs=1)
                for n in (1, 2)
                for ms in [n * CANDIDATES * candidate_ms]
            ),
            startup_s=startup_s,
            memory_mib=200.0,
            overhead_ms=2.0,
        )
        for unit, pool, candidate_ms in (
            ("main", "cpu", 0.01),
            ("scorer", "cpu", CPU_MS),
            ("scorer", "gpu", GPU_MS),
        )
    ]


def make_spilling(home: Path, startup_s: float = 4.0) -> Path:
    """Write data, model, profiles and YAML under ``home``, and return the YAML's path."""
    for profile in spilling_profiles(startup_s):
        write_profile(profile, home / f"{profile.unit}-{profile.pool}.json")
    return make_pipeline(home, SPILLING)
