"""The package of docs/extending.md is installed and served, with all five kinds of plug-ins in one pipeline."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from autoscale.config import make_policy
from autoscale.policies.base import Observation, UnitObservation
from cli.main import root
from models.features.catalogue import Catalogue
from services.app import StandaloneApp
from services.autoscaling.serve_policy import PipelinePolicy, policy_arguments
from services.autoscaling.spec import lowered
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from tests.pipelines import SPLIT, bias_of, merged
from tests.plugins.packages import install_guide
from tests.plugins.pipelines import make_guide_pipeline
from tests.services.processes import served_config
from tests.services.servers import ask, http_server, rank_request

_ASKED_LIMIT_S = 30.0
FALLBACK: dict[str, Any] = {"fallback": {"popular": {"column": "value"}}}


def expected_scores(home: Path, user: int, k: int, boost: float = 1.5) -> list[float]:
    """Return the ``k`` best scores among the catalogue's last 20 items. A boost of 1.5 adds half an item's value."""
    newest = np.sort(Catalogue.open(home / "catalogue").columns["value"][-20:])[::-1]
    return [float(boost * value + bias_of(user)) for value in newest[:k]]


def test_serves_a_pipeline_of_plug_ins(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    path = make_guide_pipeline(tmp_path)
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u3", "k": 4})).json
    assert [item["score"] for item in answer["items"]] == expected_scores(tmp_path, 3, 4)
    assert answer["degraded"] is None
    assert list(answer["timings_ms"]) == ["queue", "features", "ranker", "acme_boost", "order"]


def test_pipeline_of_plug_ins_passes_the_check(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_guide(site)
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    arguments = ["check", "--json", str(make_guide_pipeline(tmp_path))]
    result = CliRunner().invoke(root(arguments), arguments)
    (findings,) = json.loads(result.stdout).values()
    assert findings["faults"] == []
    assert findings["runtimes"]["ranker"]["runtime"] == {"kind": "acme_sum", "threads": 1, "scale": 1.0}


def test_loads_only_the_named_modules_of_an_installed_package(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    config = load_config(make_guide_pipeline(tmp_path, {"autoscaling": {"policy": {"kind": "slo"}}}))
    assert config.trust == ("acme",)
    assert "acme.stores" in sys.modules
    assert "acme.policies" not in sys.modules
    assert "acme.plain" not in sys.modules


def test_config_with_plug_ins_can_be_validated_again_from_its_dump(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    config = load_config(make_guide_pipeline(tmp_path))
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config


def test_policy_decides_in_this_process_and_loads_in_the_controller(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    config = load_config(make_guide_pipeline(tmp_path))
    assert config.autoscaling is not None
    spec = lowered(config, {})
    policy = make_policy(config.autoscaling, spec)
    (key,) = spec.keys()
    observation = UnitObservation(
        ready=1, target=1, arriving_requests_per_s=90, arriving_candidates_per_s=1800
    )
    decision = policy.decide(0.0, Observation({key: observation}), policy.start())
    assert decision.replicas == {key: 4}
    assert PipelinePolicy(**policy_arguments(config, {}))._guarded._scaler is not None


def test_skips_a_failing_stage_if_there_is_a_fallback(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    text = (site / "acme" / "stages.py").read_text()
    # The stage fails for known users, which requests have, and not for the unknown users of the warm-up.
    broken = text.replace(
        "        added =", "        assert batch.requests['user.bias'].max() < 1\n        added ="
    )
    (site / "acme" / "stages.py").write_text(broken)
    path = make_guide_pipeline(tmp_path, FALLBACK)
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u3", "k": 1})).json
    assert [item["score"] for item in answer["items"]] == expected_scores(tmp_path, 3, 1, boost=1.0)
    assert answer["degraded"] == "acme_boost:skipped:failed"


@pytest.mark.slow
def test_serves_two_units_on_ray_and_the_controller_calls_the_policy(tmp_path: Path) -> None:
    site, marker = tmp_path / "site", tmp_path / "asked"
    install_guide(site)
    policies = site / "acme" / "policies.py"
    # The policy writes a file to show that it runs in the controller's process.
    sign = f"        __import__('pathlib').Path({str(marker)!r}).touch()\n        replicas, reasons ="
    policies.write_text(policies.read_text().replace("        replicas, reasons =", sign))
    path = make_guide_pipeline(tmp_path, merged(SPLIT, {"autoscaling": {"decision_interval_s": 1}}))
    with served_config(path, tmp_path, {"PYTHONPATH": str(site)}) as service:
        answer = ask(service.port, rank_request({"user_id": "u3", "k": 4})).json
        until_s = time.monotonic() + _ASKED_LIMIT_S
        while not marker.exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        assert marker.exists(), "the controller did not call the policy"
    assert [item["score"] for item in answer["items"]] == expected_scores(tmp_path, 3, 4)
    assert answer["timings_ms"]["acme_boost"] >= 0
