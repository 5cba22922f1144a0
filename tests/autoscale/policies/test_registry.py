import pytest

from autoscale.policies.registry import POLICIES


@pytest.mark.parametrize("kind", POLICIES.builtins)
def test_policy_options_have_a_kind_and_defaults(kind: str) -> None:
    policy = POLICIES.get(kind)
    assert policy.config.model_validate({"kind": kind}).kind == kind
    assert policy.reads_profiles == policy.is_limited == (kind != "target_ongoing")
