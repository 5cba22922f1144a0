"""The figures of a growth chart: interrupted runs continue, and the report names bends and extrapolations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.growth.__main__ import CHARTS, as_text, measure
from benchmarks.growth.chart import Chart, Panel, Points
from benchmarks.growth.drawing import draw
from benchmarks.growth.figures import Figures

XS = (1, 2, 4, 8, 16, 32, 64)


def cost(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    for x in xs:
        yield x, {"cost": 8.0 + settings["slope"] * x, "other": 1.0}


CHART = Chart(
    name="made",
    title="Made figures",
    x_label="things",
    xs=XS,
    panels=(Panel("ms", ("cost", "other", "absent"), bend_of="cost", rise_of="cost", extrapolate_to=400),),
    measure=cost,
    settings={"slope": 1.0},
)


def figures_in(folder: Path, slope: float = 1.0) -> Figures:
    return Figures(CHART, folder, {"slope": slope})


def test_interrupted_run_continues_with_the_missing_points(tmp_path: Path) -> None:
    measure(figures_in(tmp_path), limit_s=0.0)
    again = figures_in(tmp_path)
    assert list(again.points) == [1]
    assert again.missing == list(XS[1:])
    measure(again, limit_s=60.0)
    assert figures_in(tmp_path).missing == []


def test_points_of_other_settings_are_measured_again(tmp_path: Path) -> None:
    measure(figures_in(tmp_path), limit_s=60.0)
    assert figures_in(tmp_path, slope=2.0).missing == list(XS)


def test_points_of_another_machine_are_drawn_but_not_continued(tmp_path: Path) -> None:
    measure(figures_in(tmp_path), limit_s=60.0)
    path = tmp_path / "made.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": {"cpu": "another"}}))
    assert figures_in(tmp_path).points == {}
    drawn = Figures(CHART, tmp_path, {"slope": 1.0}, any_machine=True)
    assert list(drawn.points) == list(XS)
    assert drawn.document()["machine"] == {"cpu": "another"}


def test_report_names_the_bend_and_marks_what_is_extrapolated(tmp_path: Path) -> None:
    figures = figures_in(tmp_path)
    measure(figures, limit_s=60.0)
    document = figures.document()
    assert 4 < document["bends"]["cost"]["at"] < 16
    assert document["extrapolated"]["cost"]["value"] == pytest.approx(408, rel=0.01)
    text = as_text(figures)
    assert "cost bends at" in text
    assert "cost at 400: 408, extrapolated" in text


def test_drawing_is_svg_and_the_same_for_the_same_figures(tmp_path: Path) -> None:
    figures = figures_in(tmp_path)
    measure(figures, limit_s=60.0)
    svg = draw(figures)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "bend at" in svg and "408 extrapolated" in svg
    assert svg == draw(figures_in(tmp_path))
    assert len(svg) < 60_000


def test_one_point_can_be_drawn(tmp_path: Path) -> None:
    measure(figures_in(tmp_path), limit_s=0.0)
    assert "svg" in draw(figures_in(tmp_path))


def test_every_chart_draws_only_what_has_a_name_of_its_own() -> None:
    for name, chart in CHARTS.items():
        assert chart.name == name
        assert list(chart.xs) == sorted(set(chart.xs))
        for panel in chart.panels:
            assert {panel.bend_of, panel.rise_of} <= {None, *panel.series}
