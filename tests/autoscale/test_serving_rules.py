"""The serving rules: each rule, its compiled form, and a check that there is no second copy."""

import ast
import inspect
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale import serving_rules as rules
from autoscale.simulator.event_engine import rules as compiled_rules
from autoscale.simulator.event_engine.jit import imported

ROOT = Path(__file__).resolve().parents[2]
SIDES = {"service": ROOT / "services" / "scheduling", "simulator": ROOT / "autoscale" / "simulator"}
CONSTANTS = {name: value for name, value in vars(rules).items() if name.isupper()}
RULES: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(rules).items() if isinstance(value, FunctionType)
}
UNNAMED = {0.0, 0.5, 1.0, 2.0, 1e3, 1e-9}
"""Numbers that need no name, because they are not limits or rates."""

TIMES = st.floats(0.0, 100.0)
SHORT_TIMES = st.floats(0.001, 10.0)
COUNTS = st.integers(0, 1_000)
SIZES = st.integers(1, 1 << 20)
BUCKETS = st.integers(1, 23)
FLAGS = st.booleans()
ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "learned_batch_s": (TIMES, TIMES, SIZES, SIZES, TIMES | st.just(math.inf), FLAGS),
    "is_refused": (COUNTS, TIMES, st.integers(1, 64), st.floats(-10.0, 100.0), FLAGS),
    "shows_overload": (st.integers(-10, 10), st.floats(-10.0, 100.0), TIMES),
    "least_left_s": (TIMES, FLAGS),
    "batch_share_s": (TIMES | st.just(math.inf), st.floats(0.0, 1e4), TIMES | st.just(math.inf)),
    "stage_left_s": (TIMES, TIMES, TIMES),
    "rescue_s": (TIMES | st.just(math.inf),),
    "call_until_s": (TIMES, TIMES, TIMES, TIMES),
    "size_bucket": (st.integers(0, 1 << 40),),
    "in_proportion_s": (TIMES, BUCKETS, BUCKETS),
}


def names_used(folder: Path) -> set[str]:
    """Return the names in ``serving_rules`` that a folder's modules import or read."""
    used = set[str]()
    for path in folder.rglob("*.py"):
        if path.samefile(compiled_rules.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "autoscale.serving_rules":
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used |= {node.attr} if node.value.id == "rules" else set()
    return used


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names of a module's constants and functions, without leading underscores."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.strip("_").isupper():
            yield node.id.lstrip("_")
        elif isinstance(node, ast.FunctionDef):
            yield node.name.lstrip("_")


def unnamed_numbers(tree: ast.Module) -> set[float]:
    """Return the float literals inside functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    numbers = (node for function in functions for node in ast.walk(function))
    return {n.value for n in numbers if isinstance(n, ast.Constant) and isinstance(n.value, float)}


# ---- one copy ----


def test_every_rule_is_a_plain_function_over_numbers() -> None:
    assert ARGUMENTS.keys() == RULES.keys()
    for rule in RULES.values():
        assert not set(rule.__code__.co_names) & RULES.keys(), (
            "a rule that calls another one cannot be compiled"
        )
        assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(rule).parameters.values())


@pytest.mark.parametrize("side", SIDES)
def test_service_and_simulator_use_every_rule(side: str) -> None:
    assert RULES.keys() <= names_used(SIDES[side])


@pytest.mark.parametrize("side", SIDES)
def test_service_and_simulator_define_no_rule_or_constant_again(side: str) -> None:
    allowed = {rules.__file__, compiled_rules.__file__}
    for path in SIDES[side].rglob("*.py"):
        if str(path) not in allowed:
            again = set(defined(ast.parse(path.read_text("utf-8")))) & (CONSTANTS.keys() | RULES.keys())
            assert not again, f"{path.name} defines {again}, which autoscale/serving_rules.py has"


@pytest.mark.parametrize(
    "folder", [SIDES["service"], SIDES["simulator"] / "event_engine"], ids=lambda f: f.name
)
def test_functions_have_no_unnamed_numbers(folder: Path) -> None:
    for path in folder.glob("*.py"):
        assert unnamed_numbers(ast.parse(path.read_text("utf-8"))) <= UNNAMED, path.name


def test_importing_the_rules_loads_no_compiler() -> None:
    code = "import sys, autoscale.serving_rules; sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_editing_the_rules_invalidates_the_compiled_engine() -> None:
    assert Path(rules.__file__) in imported("autoscale.simulator.event_engine.kernel")


# ---- the compiled form ----


@pytest.mark.parametrize("name", sorted(RULES.keys() - {"rescue_s"}))
@given(data=st.data())
def test_compiled_rule_returns_the_same_result(name: str, data: st.DataObject) -> None:
    arguments = [data.draw(strategy) for strategy in ARGUMENTS[name]]
    compiled = getattr(compiled_rules, name)
    assert compiled.py_func is RULES[name]
    assert compiled(*arguments) == RULES[name](*arguments)


# ---- each rule ----


@given(SHORT_TIMES, SHORT_TIMES, st.integers(1, 100), SHORT_TIMES, FLAGS)
def test_learned_time_lies_between_the_known_and_the_new_time(
    known_s: float, elapsed_s: float, candidates: int, horizon_s: float, promises: bool
) -> None:
    new_s = min(elapsed_s, horizon_s) / max(1.0, candidates / 10)
    learned_s = rules.learned_batch_s(known_s, elapsed_s, candidates, 10, horizon_s, promises)
    low_s, high_s = sorted((known_s, min(new_s, rules.OUTLIER_FACTOR * known_s)))
    assert low_s * (1 - 1e-9) <= learned_s <= high_s * (1 + 1e-9)


def test_without_promises_the_learned_time_rises_more_slowly_than_it_falls() -> None:
    slower_s = rules.learned_batch_s(1.0, 2.0, 10, 10, math.inf, False) - 1.0
    faster_s = 1.0 - rules.learned_batch_s(1.0, 0.0, 10, 10, math.inf, False)
    assert slower_s == pytest.approx(rules.RISING_RATE)
    assert faster_s == pytest.approx(rules.FALLING_RATE)
    assert rules.RISING_RATE < rules.FALLING_RATE


@given(st.integers(1, 100), SHORT_TIMES, st.integers(1, 8), st.floats(-1.0, 100.0), FLAGS)
def test_more_work_ahead_or_less_time_never_admits_a_refused_request(
    batches: int, batch_s: float, in_flight: int, left_s: float, promises: bool
) -> None:
    if rules.is_refused(batches, batch_s, in_flight, left_s, promises):
        assert rules.is_refused(batches + 1, batch_s, in_flight, left_s, promises)
        assert rules.is_refused(batches, batch_s, in_flight, left_s - 0.1, promises)
        assert rules.is_refused(batches, batch_s, in_flight, left_s, True)


@pytest.mark.parametrize(("left_s", "refused"), [(-0.001, True), (0.0, False), (1.0, False)])
def test_an_empty_queue_refuses_only_after_the_deadline(left_s: float, refused: bool) -> None:
    assert rules.is_refused(0, 5.0, 1, left_s, True) == refused


@given(st.integers(-5, 5), SHORT_TIMES)
def test_only_requests_with_time_and_ordinary_priority_show_an_overload(priority: int, left_s: float) -> None:
    shown = rules.shows_overload(priority, left_s, 5.0)
    assert shown == (priority >= 0 and left_s >= 5.0 * rules.PATIENT_SHARE)


@given(TIMES, FLAGS)
def test_a_promised_request_may_join_a_batch_until_its_deadline(batch_s: float, promises: bool) -> None:
    assert rules.least_left_s(batch_s, promises) == (0.0 if promises else batch_s)


@given(st.floats(0.001, 1e4), SHORT_TIMES)
def test_a_batch_and_those_behind_it_share_the_planned_part_of_the_horizon(
    behind: float, horizon_s: float
) -> None:
    share_s = rules.batch_share_s(math.inf, behind, horizon_s)
    assert share_s * (1 + behind) == pytest.approx(rules.PLANNED_SHARE * horizon_s)


def test_batch_with_empty_queue_has_unlimited_time_unless_requests_were_refused_recently() -> None:
    assert rules.batch_share_s(math.inf, 0.0, 1.0) == math.inf
    assert rules.batch_share_s(rules.OVERLOAD_LASTS_S / 2, 0.0, 1.0) == 0.0
    assert rules.batch_share_s(rules.OVERLOAD_LASTS_S, 0.0, 1.0) == math.inf


@given(TIMES, TIMES, TIMES)
def test_a_stage_leaves_time_for_later_stages_and_the_answer(
    moment_s: float, now_s: float, later_s: float
) -> None:
    left_s = rules.stage_left_s(moment_s, now_s, later_s)
    assert now_s + left_s + later_s + rules.MARGIN_S == pytest.approx(moment_s, abs=1e-9)


@given(TIMES)
def test_rescue_time_is_fixed_or_a_share_of_a_short_deadline(deadline_after_s: float) -> None:
    rescue_s = rules.rescue_s(deadline_after_s)
    assert rescue_s in (rules.RESCUE_BEFORE_S, rules.RESCUE_SHARE * deadline_after_s)
    assert rescue_s <= min(rules.RESCUE_BEFORE_S, rules.RESCUE_SHARE * deadline_after_s)


def test_sweep_that_is_one_period_late_leaves_time_to_answer_from_memory() -> None:
    assert rules.rescue_s(1.0) >= rules.SWEEP_PERIOD_S + rules.MARGIN_S


@given(st.floats(0.0, 10.0), SHORT_TIMES, SHORT_TIMES, SHORT_TIMES)
def test_request_waits_for_a_call_for_its_expected_time_and_while_the_rung_below_has_time(
    now_s: float, left_s: float, below_s: float, expected_s: float
) -> None:
    moment_s = now_s + left_s
    until_s = rules.call_until_s(moment_s, now_s, below_s, expected_s)
    assert now_s + rules.MARGIN_S <= until_s <= max(moment_s, now_s + rules.MARGIN_S)
    assert until_s >= min(moment_s, now_s + expected_s)
    last_s = moment_s - below_s - rules.CALL_MARGINS * rules.MARGIN_S
    if last_s >= now_s + expected_s + rules.MARGIN_S:
        assert until_s == pytest.approx(last_s, abs=1e-9)


@given(st.integers(0, 1 << 40))
def test_buckets_are_powers_of_two(candidates: int) -> None:
    assert rules.size_bucket(candidates) == max(1, candidates).bit_length()


@given(SHORT_TIMES, BUCKETS, BUCKETS)
def test_a_larger_batch_takes_at_most_in_proportion_and_a_smaller_one_no_longer(
    known_s: float, known: int, bucket: int
) -> None:
    assert rules.in_proportion_s(known_s, known, bucket) == known_s * max(1.0, 2.0 ** (bucket - known))
