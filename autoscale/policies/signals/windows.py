"""Load over time: a stable window, a panic window for bursts, and the highest recent load, which limits steps down.

The stable window and the panic window follow knative's ``pkg/autoscaler/scaling``, which also takes no step down in a
panic. The highest recent load follows the stabilisation window in Kubernetes' horizontal pod autoscaler.
"""

from dataclasses import dataclass

Times = tuple[tuple[float, float], ...]
"""Pairs of (time_s, candidates/s) in order of time."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """The recent load.

    Attributes:
        samples: samples in the stable window.
        highest: recent loads that limit steps down. Each is higher than all later loads, so the first is the highest.
        panic: the last time at which the load was above the limit, and the panic's highest load. None: no panic.
    """

    samples: Times = ()
    highest: Times = ()
    panic: tuple[float, float] | None = None


def sampled(state: WindowState, now_s: float, load: float, window_s: float) -> WindowState:
    """Return the state after a sample. A second sample at the same time replaces the first."""
    samples = [*(s for s in state.samples if now_s - window_s < s[0] < now_s), (now_s, load)]
    return WindowState(tuple(samples), state.highest, state.panic)


def mean(state: WindowState, now_s: float, window_s: float) -> float:
    """Return the mean of the samples in the window. The window must have at least one sample."""
    loads = [load for time_s, load in state.samples if time_s > now_s - window_s]
    return sum(loads) / len(loads)


def panicked(
    state: WindowState, now_s: float, short_load: float, limit: float, window_s: float
) -> WindowState:
    """Return the state with a panic if the short window's load is above ``limit``.

    A panic ends ``window_s`` after the last load above the limit.
    """
    panic = state.panic
    if panic is not None and now_s - panic[0] >= window_s:
        panic = None
    if short_load > limit:
        panic = (now_s, max(short_load, panic[1] if panic else 0.0))
    elif panic is not None:
        panic = (panic[0], max(short_load, panic[1]))
    return WindowState(state.samples, state.highest, panic)


def heightened(state: WindowState, now_s: float, load: float, window_s: float) -> WindowState:
    """Return the state with this load added to the recent loads that limit steps down."""
    highest = [pair for pair in state.highest if pair[0] > now_s - window_s and pair[1] > load]
    return WindowState(state.samples, (*highest, (now_s, load)), state.panic)
