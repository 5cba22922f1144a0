import json
from pathlib import Path
from typing import Any

import pytest

from autoscale.errors import ProfileError
from autoscale.profiles import Profile, Timing, read_profile, write_profile

PROFILE = Profile(
    unit="ranker",
    pool="cpu",
    machine="2 cores",
    timings=(Timing(requests=1, candidates=200, p50_ms=2.0, p99_ms=4.0, mean_ms=2.1, runs=100),),
    startup_s=3.5,
    memory_mib=600.0,
)


def test_profile_round_trips_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "profiles" / "ranker.json"
    write_profile(PROFILE, path)
    assert read_profile(path) == PROFILE
    assert [file.name for file in path.parent.iterdir()] == ["ranker.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"startup_s": 0.0}, "startup_s"),
        ({"timings": []}, "timings"),
        ({"timings": [PROFILE.timings[0].model_dump()] * 2}, "two entries have the same"),
        ({"price": 3}, "price"),
    ],
)
def test_error_of_invalid_profile_names_the_field(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "ranker.json"
    path.write_text(json.dumps({**PROFILE.model_dump(mode="json"), **change}))
    with pytest.raises(ProfileError, match=message):
        read_profile(path)


def test_error_of_missing_profile_names_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="rankway models bench"):
        read_profile(tmp_path / "none.json")
