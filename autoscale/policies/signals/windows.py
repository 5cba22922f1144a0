"""Load over time: a stable window, a panic window for bursts, and the highest of late for the way down.

After knative's ``pkg/autoscaler/scaling`` (stable and panic windows, no step down in a panic) and the stabilisation
window of Kubernetes' horizontal pod autoscaler (the highest recommendation of late holds).
"""

from dataclasses import dataclass

Times = tuple[tuple[float, float], ...]
"""Pairs of (time_s, candidates/s), in the order of time."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """samples: of the stable window. highest: of the way down, each higher than what came after it.

    panic: since when, and the highest load in it.
    """

    samples: Times = ()
    highest: Times = ()
    panic: tuple[float, float] | None = None


def sampled(state: WindowState, now_s: float, load: float, window_s: float) -> WindowState:
    """Take a sample; another one of the same moment replaces it."""
    samples = [*(s for s in state.samples if now_s - window_s < s[0] < now_s), (now_s, load)]
    return WindowState(tuple(samples), state.highest, state.panic)


def mean(state: WindowState, now_s: float, window_s: float) -> float:
    """Give the mean of the samples that are younger than the window; there is one at least."""
    loads = [load for time_s, load in state.samples if time_s > now_s - window_s]
    return sum(loads) / len(loads)


def panicked(
    state: WindowState, now_s: float, short_load: float, limit: float, window_s: float
) -> WindowState:
    """Begin or go on with a panic where the short window's load is above ``limit``; it ends a window after the last."""
    panic = state.panic
    if panic is not None and now_s - panic[0] >= window_s:
        panic = None
    if short_load > limit:
        panic = (now_s, max(short_load, panic[1] if panic else 0.0))
    elif panic is not None:
        panic = (panic[0], max(short_load, panic[1]))
    return WindowState(state.samples, state.highest, panic)


def heightened(state: WindowState, now_s: float, load: float, window_s: float) -> WindowState:
    """Take what is needed now into the highest of late; the first of its entries is the highest."""
    highest = [pair for pair in state.highest if pair[0] > now_s - window_s and pair[1] > load]
    return WindowState(state.samples, (*highest, (now_s, load)), state.panic)
