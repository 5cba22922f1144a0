"""The circuit breaker, with a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from services.breaker import Breaker, BreakerConfig, State

CONFIG = BreakerConfig(failures=3, retry_after_ms=500)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["asked", "succeeded", "failed"]), st.floats(0, 2, allow_nan=False)),
    max_size=60,
)


def opened(at_s: float = 10.0) -> Breaker:
    breaker = Breaker(CONFIG)
    for _ in range(CONFIG.failures):
        breaker = breaker.failed(at_s)
    return breaker


def test_opens_only_after_failures_in_a_row() -> None:
    breaker = Breaker(CONFIG).failed(1.0).failed(1.1).succeeded().failed(1.2).failed(1.3)
    assert breaker.state is State.CLOSED
    assert breaker.failed(1.4).state is State.OPEN


def test_open_breaker_lets_no_call_through_until_retry_after() -> None:
    breaker = opened(at_s=10.0)
    assert breaker.admit(10.499) == (False, breaker)
    may, probing = breaker.admit(10.5)
    assert (may, probing.state) == (True, State.HALF_OPEN)


def test_half_open_breaker_lets_one_probe_through_at_a_time() -> None:
    _, probing = opened(at_s=10.0).admit(10.5)
    assert probing.admit(10.6) == (False, probing)
    assert probing.succeeded().admit(10.6)[0]
    again = probing.failed(10.6)
    assert again.state is State.OPEN
    assert not again.admit(11.0)[0]
    assert again.admit(11.1)[0]


def test_lost_probe_does_not_keep_it_half_open() -> None:
    _, probing = opened(at_s=10.0).admit(10.5)
    assert probing.admit(11.0)[0]


def test_failures_of_earlier_calls_do_not_delay_the_probe() -> None:
    assert opened(at_s=10.0).failed(10.4).admit(10.5)[0]


@given(EVENTS)
def test_always_recovers_and_limits_calls_while_failing(
    events: list[tuple[str, float]],
) -> None:
    breaker, now_s, in_a_row, through_s = Breaker(CONFIG), 0.0, 0, float("-inf")
    for event, passed_s in events:
        now_s += passed_s
        if event == "asked":
            may, after = breaker.admit(now_s)
            if may and in_a_row >= CONFIG.failures:
                # While it fails, at most one call per period goes through.
                assert now_s - through_s >= 0.999 * CONFIG.retry_after_ms / 1e3
                through_s = now_s
            assert may or breaker.state is not State.CLOSED
            breaker = after
        elif event == "succeeded":
            breaker, in_a_row, through_s = breaker.succeeded(), 0, float("-inf")
            assert breaker.state is State.CLOSED
        else:
            breaker, in_a_row = breaker.failed(now_s), in_a_row + 1
            if breaker.state is State.CLOSED:
                assert in_a_row < CONFIG.failures
    assert breaker.admit(now_s + 1.001 * CONFIG.retry_after_ms / 1e3)[0]
