"""The benchmark of the spread of calls: its pipeline, its sides and its medians."""

from typing import Any

import pytest

from benchmarks.call_spread import RANKWAY, SERVE, Window, build_with_serves_choice, medians, spread_config
from services import app
from services.config.placement import all_placements


def test_ranker_waits_in_a_unit_of_its_own() -> None:
    config = spread_config(2, 4, 8123)
    assert (config.ingress_unit, config.ranker_unit) == ("main", "ranker")
    assert [placement.replicas for placement in all_placements(config)] == [2, 4]


def test_sides_differ_in_the_choice_of_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    args = app.PipelineArgs(config=spread_config(1, 2, 8123), home="/nowhere")
    _, ranker = all_placements(args.config)
    assert "request_router_config" in app.deployment_options(ranker, args)
    monkeypatch.setitem(vars(app), "_router_options", app._router_options)  # restored after the test
    monkeypatch.setattr(app, "build", lambda args: app.deployment_options(ranker, args))
    options: Any = build_with_serves_choice(args)
    assert "request_router_config" not in options


def test_figures_of_a_side_are_medians_and_bad_answers_are_summed() -> None:
    rounds = [Window(SERVE, rps, 10.0, 20.0, 1) for rps in (50.0, 70.0, 60.0)]
    sides = medians([*rounds, Window(RANKWAY, 90.0, 5.0, 9.0, 0)])
    assert sides[SERVE] == Window(SERVE, 60.0, 10.0, 20.0, 3)
    assert sides[RANKWAY].rps == 90.0
