"""The example requests of the documentation, and the answers that it shows."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
PAGES = ("README.md", "docs/index.md", "docs/http.md")
REMEDY = "the page shows another answer; copy this one, or see walks/demo/README.md"
_REQUEST = re.compile(r"/v1/rank -d '(\{.*?\})'", re.DOTALL)
_ANSWER = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Example:
    """The first request on a page, and the answer below it."""

    request: dict[str, Any]
    answer: dict[str, Any]

    def compare(self, answer: dict[str, Any]) -> None:
        """Fail unless the page shows this answer. Scores may differ a little, because processors round differently."""
        shown, real = self.answer["items"], answer["items"]
        assert [item["id"] for item in shown] == [item["id"] for item in real], REMEDY
        assert _numbers(shown) == pytest.approx(_numbers(real), abs=_TOLERANCE), REMEDY
        for name in ("degraded", "models"):
            assert self.answer[name] == answer[name], REMEDY
        assert self.answer.keys() == answer.keys(), REMEDY
        assert self.answer["timings_ms"].keys() == answer["timings_ms"].keys(), REMEDY


def example_of(page: str) -> Example:
    """Return the first example of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    request, answer = _REQUEST.search(text), _ANSWER.search(text)
    assert request is not None
    assert answer is not None
    return Example(json.loads(request[1]), json.loads(answer[1]))


def _numbers(items: list[dict[str, Any]]) -> list[float]:
    return [number for item in items for number in (item["score"], *item.get("scores", {}).values())]
