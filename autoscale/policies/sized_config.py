"""The options of every policy that sizes from profiles."""

from pydantic import Field

from autoscale.policies.base import PolicyOptions


class SizedConfig(PolicyOptions):
    """Options of every policy that sizes from profiles.

    aim: share of the objective that the predicted p99 is to stay within. max_load: of its saturation a replica is
    given so much at most. window_s, panic_window_s: loads are averaged over these. panic_threshold: a burst is a panic
    window's load above so many times what the ready replicas take; it lasts until a stable window after the last.
    down_window_s: the highest load of so long holds on the way down, and hysteresis is added to it.
    drain_s: what waits beyond what is ready will be worked off in so long. max_added: answers that miss the objective
    for a whole window, again and again, add up to so much of the load to it; 0: nothing.
    """

    aim: float = Field(default=0.9, gt=0, le=2)
    max_load: float = Field(default=0.85, gt=0, le=0.98)
    window_s: float = Field(default=60.0, gt=0, le=3600)
    panic_window_s: float = Field(default=10.0, gt=0, le=600)
    panic_threshold: float = Field(default=1.1, ge=1, le=10)
    down_window_s: float = Field(default=120.0, ge=0, le=86_400)
    hysteresis: float = Field(default=0.1, ge=0, le=1)
    drain_s: float = Field(default=10.0, gt=0, le=600)
    max_added: float = Field(default=1.0, ge=0, le=10)
