import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.serve._private.common import DeploymentID
from ray.serve.autoscaling_policy import _apply_autoscaling_config, default_autoscaling_policy
from ray.serve.config import AutoscalingConfig as ServeConfig
from ray.serve.config import AutoscalingContext

from autoscale.policies.target_ongoing import TargetOngoing, TargetOngoingConfig
from tests.autoscale.policies.pipelines import ALONE, CPU, observed, seen


def test_defaults_equal_those_of_serve() -> None:
    serves = ServeConfig()
    for name in set(TargetOngoingConfig.model_fields) - {"kind", "upscaling_factor", "downscaling_factor"}:
        assert getattr(TargetOngoingConfig(kind="target_ongoing"), name) == getattr(serves, name), name
    assert serves.get_upscaling_factor() == serves.get_downscaling_factor() == 1.0


def serves_answer(
    config: ServeConfig, now_s: float, ready: int, target: int, ongoing: float, state: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    known: dict[str, Any] = dict.fromkeys(inspect.signature(AutoscalingContext.__init__).parameters)
    del known["self"]
    known |= {
        "deployment_id": DeploymentID("ranker"),
        "current_num_replicas": ready,
        "target_num_replicas": target,
        "total_num_requests": ongoing,
        "policy_state": state,
        "current_time": now_s,
        "config": config,
    }
    return _apply_autoscaling_config(default_autoscaling_policy)(AutoscalingContext(**known))


SERIES = st.lists(
    st.tuples(
        st.floats(0.1, 40),  # seconds to the decision
        st.floats(0, 60),  # ongoing requests
        st.integers(-3, 0),  # replicas that are not ready yet
    ),
    min_size=5,
    max_size=40,
)
OPTIONS = st.fixed_dictionaries(
    {
        "target_ongoing_requests": st.sampled_from([0.5, 2.0, 7.0]),
        "upscale_delay_s": st.sampled_from([0.0, 30.0]),
        "downscale_delay_s": st.sampled_from([0.0, 60.0, 600.0]),
        "downscale_to_zero_delay_s": st.sampled_from([None, 0.0, 90.0]),
        "upscaling_factor": st.sampled_from([0.3, 1.0, 2.5]),
        "downscaling_factor": st.sampled_from([0.3, 1.0, 2.0]),
    }
)


@settings(max_examples=150, deadline=None)
@given(SERIES, OPTIONS, st.integers(0, 1))
def test_decisions_equal_those_of_serve_over_any_series(
    series: list[tuple[float, float, int]], options: dict[str, Any], lowest: int
) -> None:
    policy = TargetOngoing(TargetOngoingConfig(kind="target_ongoing", **options), ALONE)
    theirs = ServeConfig(min_replicas=lowest, max_replicas=50, **options)
    state, their_state = policy.start(), dict[str, Any]()
    now_s, target = 1e9, 1
    with pytest.MonkeyPatch.context() as patched:
        for pause_s, ongoing, missing in series:
            now_s += pause_s
            patched.setattr("time.time", lambda now_s=now_s: now_s)  # Serve's delays read the clock
            ready = max(0, target + missing)
            wanted, their_state = serves_answer(theirs, now_s, ready, target, ongoing, their_state)
            decision = policy.decide(
                now_s, observed(ranker_cpu=seen(target, ready=ready, ongoing=ongoing)), state
            )
            assert decision.replicas == {CPU: wanted}
            state, target = decision.state, min(max(wanted, lowest), 50)


def test_scales_up_after_the_delay() -> None:
    policy = TargetOngoing(TargetOngoingConfig(kind="target_ongoing"), ALONE)
    state, asked = policy.start(), []
    for now_s in range(0, 36, 5):
        decision = policy.decide(now_s, observed(ranker_cpu=seen(2, ongoing=12)), state)
        state = decision.state
        asked.append(decision.replicas[CPU])
    assert asked == [2, 2, 2, 2, 2, 2, 6, 2]
    assert decision.reasons[CPU] == "ranker@cpu 2: 6.0 ongoing requests per replica, target 2"
