"""The tuner's search space: all numbers of a policy and its limits, around their defaults and within their bounds."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Protocol, Union

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from autoscale.config import AutoscalingConfig
from autoscale.policies.registry import POLICIES
from autoscale.spec import PipelineSpec

_WIDTH = 5.0
"""A number is searched between its default divided by this and its default times this."""
# Exceptions to ``_WIDTH``. Serve's own policy may get delays far below the defaults, because its long delays are its
# weakness.
_RANGES: Mapping[str, tuple[float, float]] = {
    "target_ongoing_requests": (0.2, 50.0),
    "look_back_period_s": (2.0, 60.0),
    "upscale_delay_s": (0.0, 60.0),
    "downscale_delay_s": (10.0, 1200.0),
    "up_cooldown_s": (0.0, 30.0),
    "max_load": (0.4, 0.95),
    "aim": (0.3, 1.5),
    "panic_threshold": (1.0, 3.0),
    "hysteresis": (0.0, 0.5),
    "max_down_ratio": (1.1, 10.0),
    "max_added": (0.0, 2.0),
    "max_growth": (1.0, 2.0),
}
_FIXED = frozenset({"kind", "to_zero_after_s", "stale_after_s", "downscale_to_zero_delay_s"})
_DIGITS = 3


class Trial(Protocol):
    """The interface that chooses values: Optuna's trial, or a finished trial that is read again."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Choose a number."""
        ...

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Choose a whole number."""
        ...

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """Choose one of ``choices``."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the search space.

    Attributes:
        path: the field's path in ``autoscaling``.
        low: lower bound.
        high: upper bound.
        default: the field's default.
        whole: whether the field is an integer.
    """

    path: tuple[str, ...]
    low: float
    high: float
    default: float
    whole: bool

    @property
    def name(self) -> str:
        """The field's path in the YAML file, with dots."""
        return ".".join(self.path)


def policy_kinds() -> dict[str, type[BaseModel]]:
    """Return the built-in policies' option classes by kind."""
    return {kind: POLICIES.get(kind).config for kind in POLICIES.builtins}


def kinds_for(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the policies that are useful for a pipeline, without Serve's own policy, which is the baseline."""
    single = {"coupled"} if len(spec.units) == 1 else set()
    if all(len(unit.placed) == 1 for unit in spec.units):
        single.add("cheapest")
    return tuple(kind for kind in policy_kinds() if kind != "target_ongoing" and kind not in single)


def numbers(kind: str) -> list[Number]:
    """Return the numbers to search for a policy, including its limits if it has any."""
    space = list(_numbers(policy_kinds()[kind], ("policy",)))
    if kind != "target_ongoing":
        space += _numbers(AutoscalingConfig.model_fields["limits"].annotation, ("limits",))
    return space


def defaults(kind: str) -> dict[str, float]:
    """Return the search parameters for a policy's defaults."""
    return {
        f"{kind}:{number.name}": min(max(number.default, number.low), number.high) for number in numbers(kind)
    }


def suggested(trial: Trial, kinds: list[str], base: AutoscalingConfig) -> AutoscalingConfig | None:
    """Return the configuration that a trial chooses, or None if the chosen numbers contradict each other.

    Args:
        trial: chooses the values.
        kinds: policy kinds to choose from.
        base: objective, interval, shares and bounds.
    """
    kind = trial.suggest_categorical("kind", kinds)
    document = base.model_dump(include={"p99_ms", "decision_interval_s", "shares", "bounds"})
    document |= {"policy": {"kind": kind}}
    for number in numbers(kind):
        name = f"{kind}:{number.name}"
        if number.whole:
            value: float = trial.suggest_int(name, int(number.low), int(number.high))
        else:
            log = number.low > 0 and number.high > 4 * number.low
            value = float(f"{trial.suggest_float(name, number.low, number.high, log=log):.{_DIGITS}g}")
        part = document
        for step in number.path[:-1]:
            part = part.setdefault(step, {})
        part[number.path[-1]] = value
    try:
        return AutoscalingConfig.model_validate(document)
    except ValidationError:
        return None


def _numbers(annotation: Any, path: tuple[str, ...]) -> Iterator[Number]:
    (model,) = _models(annotation)
    for name, field in model.model_fields.items():
        if name in _FIXED:
            continue
        inner = list(_models(field.annotation))
        if inner and field.get_default(call_default_factory=True) is not None:
            yield from _numbers(inner[0], (*path, name))
        elif field.annotation in (int, float) and not field.is_required():
            yield _number(name, field, (*path, name))


def _number(name: str, field: FieldInfo, path: tuple[str, ...]) -> Number:
    default = float(field.default)
    low, high = _RANGES.get(name, (default / _WIDTH, default * _WIDTH or 1.0))
    tiny = 1e-3 * max(abs(default), 1e-3)
    for bound in field.metadata:
        match bound:
            case Ge():
                low = max(low, float(bound.ge))  # type: ignore[arg-type]
            case Gt():
                low = max(low, float(bound.gt) + tiny)  # type: ignore[arg-type]
            case Le():
                high = min(high, float(bound.le))  # type: ignore[arg-type]
            case Lt():
                high = min(high, float(bound.lt) - tiny)  # type: ignore[arg-type]
    return Number(path, low, max(high, low), default, field.annotation is int)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (Annotated, Union, UnionType):
        for part in typing.get_args(annotation):
            yield from _models(part)
