"""Policy interfaces: observation, decision, policy and the descriptor of a policy kind.

Time is an argument. Nothing here reads a clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from autoscale.spec import Key, PipelineSpec

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class UnitObservation:
    """One unit's load in one pool, summed over its replicas.

    Rates are means over the interval since the previous decision.

    Attributes:
        ready: replicas that answer.
        target: requested replicas, including those that are starting.
        arriving_requests_per_s: requests that arrive at the unit.
        arriving_candidates_per_s: their candidates.
        served_candidates_per_s: candidates in computed batches.
        shed_requests_per_s: requests that were refused or answered by the fallback.
        missed_requests_per_s: at an ingress, requests that were answered in full but after the objective, or shed for
            lack of time. Requests that failed due to an error or the feature store do not count, because more replicas
            would not help.
        waiting_candidates: candidates that wait in the queues now.
        ongoing_requests: requests as Serve counts them, including queued ones, averaged over Serve's look-back window.
            The policy ``target_ongoing`` reads it.
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
    """The whole pipeline's load. The figures are ``age_s`` old, because metrics take a while to arrive."""

    units: Mapping[Key, UnitObservation]
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision(Generic[State]):
    """The replicas that a policy decides on, with reasons.

    Attributes:
        replicas: number of replicas for each key.
        reasons: the reason for each number, as text.
        state: the state for the next decision.
        weights: by unit, the split over its pools. A unit's weights add up to 1. A unit is left out if the policy does
            not decide on its split.
    """

    replicas: Mapping[Key, int]
    reasons: Mapping[Key, str]
    state: State
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Policy(Protocol[State]):
    """A policy for one pipeline. It has no memory: each decision takes a state and returns the next state."""

    def start(self) -> State:
        """Return the state before the first decision."""
        ...

    def decide(self, now_s: float, observation: Observation, state: State) -> Decision[State]:
        """Return the decision at ``now_s``. It has a number for every key in the spec."""
        ...


class PolicyOptions(BaseModel):
    """The base class for policy options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str


Options = TypeVar("Options", bound=PolicyOptions)


@dataclass(frozen=True, slots=True)
class PolicyKind(Generic[Options]):
    """The descriptor of one policy kind. Serve's controller imports the module that contains it.

    Attributes:
        config: the option class.
        make: creates a pipeline's policy.
        reads_profiles: whether the policy needs a profile for every unit.
        is_limited: whether ``autoscaling.limits`` apply. A policy with its own delays only gets the bounds.
    """

    config: type[Options]
    make: Callable[[Options, PipelineSpec], Policy[Any]]
    reads_profiles: bool = True
    is_limited: bool = True


AnyPolicyKind = PolicyKind[Any]
