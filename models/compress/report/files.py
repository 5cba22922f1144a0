"""The files of a report: ``report.json``, and ``report.html`` with the same data."""

import json
from pathlib import Path

from models.compress.report.choices import Choice, choices
from models.compress.report.html import html_report
from models.compress.report.pareto import Point, front, points
from models.compress.rows import Result
from models.durable import write_file

JSON_REPORT, HTML_REPORT = "report.json", "report.html"


def json_report(result: Result) -> str:
    """Return the result as JSON, with the labels of the models on the Pareto front and of the recommended ones."""
    found = points(result)
    added = {"front": [point.row.label for point in front(found)], "choices": [*map(_choice, choices(found))]}
    return json.dumps({**result.model_dump(mode="json"), **added}, indent=1) + "\n"


def write_report(out: Path, result: Result) -> Path:
    """Write both files into a recipe's folder, each completely or not at all. Return the path of the HTML.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / JSON_REPORT, json_report(result))
    write_file(out / HTML_REPORT, html_report(result))
    return out / HTML_REPORT


def _choice(choice: Choice) -> dict[str, float | str | None]:
    return {
        "max_loss": choice.loss,
        "interval_within": _label(choice.within),
        "only_point_estimate_within": _label(choice.maybe),
    }


def _label(point: Point | None) -> str | None:
    return None if point is None else point.row.label
