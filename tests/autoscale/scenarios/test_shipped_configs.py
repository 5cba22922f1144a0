"""The shipped pipelines with autoscaling: their policies are valid, and no option repeats a default."""

from pathlib import Path

import pytest
import yaml

from autoscale.advice import meaningless, unreachable
from autoscale.config import make_policy
from services.autoscaling.spec import spec_of
from services.config.loading import load_config

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = [
    path
    for path in sorted((ROOT / "configs").glob("*.yaml"))
    if "autoscaling" in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_policy_is_valid_useful_and_can_reach_its_objective(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.autoscaling is not None
    spec = spec_of(config, tmp_path)
    policy = make_policy(config.autoscaling, spec)
    assert policy.start() == policy.start()
    assert config.autoscaling.policy.kind not in meaningless(config.autoscaling, spec)
    assert unreachable(config.autoscaling, spec) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_no_option_repeats_a_default(path: Path) -> None:
    config = load_config(path).autoscaling
    assert config is not None
    for part in (config, config.policy, config.limits):
        fields = type(part).model_fields
        repeated = [
            name
            for name in part.model_fields_set
            if not fields[name].is_required()
            and getattr(part, name) == fields[name].get_default(call_default_factory=True)
        ]
        assert repeated == []


def test_some_pipeline_ships_with_autoscaling() -> None:
    assert SHIPPED
