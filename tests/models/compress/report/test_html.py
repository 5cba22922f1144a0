"""The HTML report: complete, self-contained, and readable without accepted steps."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from models.compress.report.html import html_report
from models.compress.rows import Row
from tests.models.compress.report.results import result, row

FAILED = Row(
    label="x/01-prune", parent="original", kind="prune", state="failed", reason="heads: <must> be fewer"
)
STEPS = (
    row("a/01-prune", "accepted", 1.2, 0.001),
    row("a/02-quantize", "accepted", 12.0, 0.0095),
    row("tree/01-distil", "rejected", 0.95, 0.15),
    row("b/01-quantize", "rejected", 1.1, 0.004),
    FAILED,
)


class _Balanced(HTMLParser):
    """Checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "circle", "path", "polyline"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"circle", "path", "polyline"}:
            assert self.open.pop() == tag


def test_has_every_step_with_its_tables_and_loads_nothing() -> None:
    html = html_report(result(*STEPS))
    parser = _Balanced()
    parser.feed(html)
    assert parser.open == []
    for step in STEPS:
        assert html.count(step.label) >= 2
    for text in (
        "Layer sensitivity",
        "encoder.0",
        "0.01235",
        "avx512_vnni",
        "2026-11-30T17:00:00",
        "onnxruntime 1.24",
        "change against parent",
        "point estimate within, interval not",
        "bootstrap intervals over lists",
    ):
        assert text in html
    assert html.count("avx512_vnni") == 1
    assert "failed: heads: &lt;must&gt; be fewer" in html
    assert not re.search(r"(src|href)=|url\(|@import|<script", html)
    assert "nan" not in html.lower().replace("rankway", "")


def test_names_the_users_over_which_intervals_were_drawn() -> None:
    html = html_report(result(*STEPS).model_copy(update={"users": 4100}))
    assert "bootstrap intervals over their 4,100 users" in html


def test_names_a_runtime_that_is_not_onnx_runtime() -> None:
    step = STEPS[0]
    assert step.figures is not None
    figures = step.figures.model_copy(update={"runtime": "openvino"})
    html = html_report(result(step.model_copy(update={"figures": figures})))
    assert f"{step.label} <small>(openvino)</small>" in html


def test_chart_has_a_mark_for_each_measured_model_and_joins_the_front() -> None:
    html = html_report(result(*STEPS))
    svg = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", html, re.DOTALL)[0])
    titles = [title.text or "" for title in svg.iter("title")]
    assert len(titles) == 5
    assert any(title.startswith("tree/01-distil: 0.95x, loss 15.00%, rejected") for title in titles)
    line = next(svg.iter("polyline"))
    assert len((line.get("points") or "").split()) == 3
    for mark in svg.iter("circle"):
        assert 0 < float(mark.get("cx") or 0) < 520
        assert 0 < float(mark.get("cy") or 0) < 400


@pytest.mark.parametrize("steps", [(), (STEPS[2],), (FAILED,), (STEPS[3], FAILED)])
def test_is_complete_if_no_step_was_accepted(steps: tuple[Row, ...]) -> None:
    html = html_report(result(*steps))
    parser = _Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "0: original" in html
    assert html.count("<tr class='reason'>") == sum(step.state != "accepted" for step in steps)
