"""A pipeline with a profile, for ``rankway autoscale``."""

from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from autoscale.profiles import Profile, Timing, write_profile
from cli.main import root
from tests.pipelines import merged, pipeline_document

POOL = {"cpus": 4, "memory_gib": 16, "price_per_hour": 1.0}


def profiled(home: Path, **changes: Any) -> Path:
    """Write a small pipeline and its profile. A batch takes 5 ms for one request and 25 ms for ten."""
    timings = tuple(
        Timing(requests=n, candidates=20 * n, p50_ms=ms, p99_ms=1.2 * ms, mean_ms=ms, runs=50)
        for n, ms in ((1, 5.0), (10, 25.0))
    )
    profile = Profile(
        unit="main", pool="cpu", machine="a test's", timings=timings, startup_s=4.0, memory_mib=300.0
    )
    write_profile(profile, home / "main.json")
    placed = {"main": {"pools": {"cpu": {"profile": "main.json"}}}}
    document = merged(pipeline_document(), {"pools": {"cpu": POOL}, "units": placed})
    path = home / "pipeline.yaml"
    path.write_text(yaml.safe_dump(merged(document, changes)))
    return path


def call(*arguments: object) -> tuple[int, str, str]:
    """Call ``rankway autoscale`` and return exit status, standard output and standard error."""
    called = ["autoscale", *map(str, arguments)]
    result = CliRunner().invoke(root(called), called, env={"COLUMNS": "160"})
    return result.exit_code, result.stdout, result.stderr
