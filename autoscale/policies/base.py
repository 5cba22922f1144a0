"""What a policy sees, gives, and is, and the descriptor of a kind. Time is an argument; nothing here reads a clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from autoscale.spec import Key, PipelineSpec

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class UnitObservation:
    """One unit in one pool, summed over its replicas, since the decision before.

    ready: replicas that answer; target: replicas asked for, those starting included.
    arriving, served, shed: rates over the interval; shed are refused or given to the fallback.
    missed: of an ingress, requests answered whole but after the objective, and those shed for lack of time. What an
    error or the feature store has cost is not among them: more replicas would not help.
    waiting: in the queues now. ongoing_requests: as Serve counts them, queued ones included, averaged over Serve's
    own look-back window; what ``target_ongoing`` reads.
    """

    ready: int
    target: int
    arriving_requests_per_s: float = 0.0
    arriving_candidates_per_s: float = 0.0
    served_candidates_per_s: float = 0.0
    shed_requests_per_s: float = 0.0
    missed_requests_per_s: float = 0.0
    waiting_candidates: float = 0.0
    ongoing_requests: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """The whole pipeline, ``age_s`` ago: metrics take a while to arrive."""

    units: Mapping[Key, UnitObservation]
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision(Generic[State]):
    """How many replicas of each, why, and what the policy wants to remember.

    weights: how each unit's work is split over its pools, where the policy decides on that; they sum to 1.
    """

    replicas: Mapping[Key, int]
    reasons: Mapping[Key, str]
    state: State
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Policy(Protocol[State]):
    """Decides; made once for a pipeline's spec, and without a memory of its own: state goes in and comes out."""

    def start(self) -> State:
        """Give the state before the first decision."""
        ...

    def decide(self, now_s: float, observation: Observation, state: State) -> Decision[State]:
        """Give the decision at ``now_s``; every key of the spec has its number."""
        ...


class PolicyOptions(BaseModel):
    """What the options of every policy have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str


Options = TypeVar("Options", bound=PolicyOptions)


@dataclass(frozen=True, slots=True)
class PolicyKind(Generic[Options]):
    """The descriptor of one kind of policy. Serve's controller imports its module.

    config: the class of the options. make: makes the policy of a pipeline.
    reads_profiles: it needs the profile of every unit. is_limited: ``autoscaling.limits`` are applied around it; one
    that has delays of its own gets the bounds alone.
    """

    config: type[Options]
    make: Callable[[Options, PipelineSpec], Policy[Any]]
    reads_profiles: bool = True
    is_limited: bool = True


AnyPolicyKind = PolicyKind[Any]
