import pytest

from autoscale.policies.registry import POLICIES


@pytest.mark.parametrize("kind", POLICIES.builtins)
def test_the_options_of_a_policy_carry_its_name_and_have_defaults(kind: str) -> None:
    policy = POLICIES.get(kind)
    assert policy.config.model_validate({"kind": kind}).kind == kind
    assert policy.reads_profiles == policy.is_limited == (kind != "target_ongoing")
