"""The options shared by all policies that size units by profiles."""

from pydantic import Field

from autoscale.policies.base import PolicyOptions


class SizedConfig(PolicyOptions):
    """The options shared by all policies that size units by profiles.

    Attributes:
        aim: the predicted p99 may use this share of the objective.
        max_load: a replica's highest load, as a share of its saturation.
        window_s: the stable window. The load is the window's mean.
        panic_window_s: the shorter window that detects bursts.
        panic_threshold: a burst begins if the panic window's mean exceeds the ready replicas' capacity by this factor.
            The burst ends one stable window after the last such mean.
        down_window_s: a step down keeps enough capacity for the highest load in this window.
        hysteresis: this share is added to the load before it enters that window.
        drain_s: a backlog is to be cleared within this time.
        max_added: the largest share that lasting misses add to the load. 0: misses add nothing.
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
