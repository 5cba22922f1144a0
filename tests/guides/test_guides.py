"""A new user follows the guides from start to end."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from services.stages.base import Why
from services.stages.checked_stage import SkippedStage
from services.stages.reranker import RuledStage
from tests.guides.blocks import blocks
from tests.guides.reader import GUIDES, reader


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_user_follows_the_guides(tmp_path: Path) -> None:
    with reader(tmp_path) as user:
        _build, _train, check, answer, refusal = user.follow("first-pipeline.md")
        assert check.startswith("routes.yaml: ok")
        assert len(json.loads(answer)["items"]) == 3
        assert json.loads(answer)["degraded"] is None
        assert json.loads(refusal)["field"] == "k"

        (state,) = user.follow("troubleshooting.md")
        assert state.startswith('{"status":"ok"')
        assert "routes.yaml: ok" in state
        user.stop()

        check, listed, traffic, refusal, _, answer = user.follow("cold-start.md")
        assert check.startswith("start.yaml: ok")
        assert len(json.loads(listed)["items"]) == 3
        assert json.loads(listed)["degraded"] is None
        assert list(json.loads(listed)["models"]) == ["release"]
        assert traffic.startswith("200 lists")
        assert json.loads(refusal)["detail"].endswith("send one of click, purchase")
        assert list(json.loads(answer)["models"]) == ["ranker", "release"]

        ranked, unchanged = user.follow("search-engine.md")
        assert sorted(ranked.split()) == ["route-harbour", "route-park"]
        assert unchanged.split() == ["route-harbour", "route-park"]
        user.stop()

        _install, check, simulation, answer = user.follow("extend.md")
        assert check.startswith("mine.yaml: ok")
        assert "share of missed" in simulation
        assert len(json.loads(answer)["items"]) == 3


def test_every_guide_has_commands_to_run() -> None:
    guides = sorted(path.name for path in GUIDES.glob("*.md"))
    assert [
        name for name in guides if any(block.language == "bash" for block in blocks(GUIDES / name))
    ] == guides


def test_the_guide_explains_every_reason_for_a_degraded_answer() -> None:
    rows = set(re.findall(r"^\| `([a-z]+)` \|", (GUIDES / "troubleshooting.md").read_text(), re.MULTILINE))
    reasons = {*get_args(Why), SkippedStage.name, RuledStage.name, "distilled", "list", "popular"}
    assert rows == reasons
