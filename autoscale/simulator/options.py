"""What a simulation is asked for beside spec, policy and trace."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Failure(BaseModel):
    """At ``at_s``, on the trace's clock, nodes of a pool or replicas of a unit in a pool die, without notice."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: float
    pool: str
    unit: str | None = None
    count: int = Field(default=1, ge=1)


class SimulationOptions(BaseModel):
    """How to simulate.

    engine: ``events`` follows every request; ``steps`` takes days in seconds, and is an approximation.
    start_s, end_s: on the trace's clock; as the trace has it where not given. Costs are of that time.
    bin_s: of the series over time. look_back_s: what ``ongoing_requests`` is averaged over, Serve's look_back_period_s.
    spot: whether spot nodes are taken back, at random (``seed``) at their pool's rate.
    idle_node_s: how long an empty node is kept, as Ray's autoscaler does.
    ingress_drain_s: how long an ingress replica drains at least: RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S, which
    is Serve's 30 on a cluster and 2 where ``rankway serve`` runs on one machine.
    decisions: whether all are kept, or those that changed a target.
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
            raise ValueError(f"start_s: must be before end_s {self.end_s}, got {self.start_s}; swap them")
        return self
