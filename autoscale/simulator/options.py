"""Simulation options."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Failure(BaseModel):
    """A failure without notice at the trace time ``at_s``.

    Attributes:
        at_s: when it happens, on the trace's clock.
        pool: the affected pool.
        unit: replicas of this unit die. None: whole nodes in the pool die.
        count: number of replicas or nodes that die.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: float
    pool: str
    unit: str | None = None
    count: int = Field(default=1, ge=1)


class SimulationOptions(BaseModel):
    """Simulation options.

    Attributes:
        engine: ``events`` simulates every request. ``steps`` is an approximation that simulates days in seconds.
        seed: the seed for all random choices.
        start_s: start on the trace's clock. None: the trace's start. Costs count from here.
        end_s: end on the trace's clock. None: the trace's end.
        bin_s: bin width in the timeline.
        look_back_s: window over which ``ongoing_requests`` is averaged, like Serve's look_back_period_s.
        control_interval_s: the interval at which Serve's control loop runs.
        idle_node_s: time for which an empty node is kept, as Ray's autoscaler does.
        ingress_drain_s: an ingress replica's least draining time. It stands for Serve's
            RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S, which is 30 on a cluster, and 2 with ``rankway serve`` on
            one machine.
        failures: failures to simulate.
        spot: whether spot nodes are reclaimed, at random times at their pool's rate.
        decisions: ``all`` records every decision, ``changes`` only the decisions that change a target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    engine: Literal["events", "steps"] = "events"
    seed: int = Field(default=0, ge=0)
    start_s: float | None = None
    end_s: float | None = None
    bin_s: float = Field(default=60.0, ge=0.1, le=86_400)
    look_back_s: float = Field(default=30.0, gt=0, le=3600)
    control_interval_s: float = Field(default=0.1, gt=0, le=10)
    idle_node_s: float = Field(default=60.0, ge=0, le=3600)
    ingress_drain_s: float = Field(default=30.0, ge=0, le=60)
    failures: tuple[Failure, ...] = ()
    spot: bool = True
    decisions: Literal["all", "changes"] = "all"

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        if self.start_s is not None and self.end_s is not None and self.start_s >= self.end_s:
            raise ValueError(
                f"start_s: must be before end_s {self.end_s}, got {self.start_s}; swap start_s and end_s"
            )
        return self
