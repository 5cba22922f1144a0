"""``rankway convert`` as a user calls it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.convert.draft import OUTCOMES
from cli.main import root
from services.config.loading import load_config
from services.stages.features import load_definitions
from tests.cli.convert.metarank.test_config import SHOP
from tests.cli.convert.triton.test_repository import MODELS, repository
from tests.cli.convert.vespa.test_application import write


def convert(*arguments: str | Path) -> Result:
    words = ["convert", *map(str, arguments)]
    return CliRunner().invoke(root(words), words)


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, list[str | Path]]:
    (tmp_path / "config.yml").write_text(SHOP)
    for folder in ("triton", "vespa"):
        (tmp_path / folder).mkdir()
    schema = write(tmp_path / "vespa")
    return {
        "metarank": [tmp_path / "config.yml"],
        "triton": [repository(tmp_path / "triton", MODELS)],
        "vespa": [schema, "--profile", "full"],
    }


@pytest.mark.parametrize("system", ["metarank", "triton", "vespa"])
def test_writes_a_pipeline_and_definitions_that_the_service_reads(
    system: str, sources: dict[str, list[str | Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shop.yaml"
    shown = convert(system, *sources[system], "--out", out)
    assert shown.exit_code == 0, shown.output
    assert all(f"{title} (" in shown.stdout for title in OUTCOMES.values())
    config = load_config(out)
    assert config.name == "shop"
    assert load_definitions(tmp_path / "shop-features.yaml").features
    assert "# decide: " in out.read_text()
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path / "home"))
    words = ["check", "--json", str(out)]
    faults = json.loads(CliRunner().invoke(root(words), words).stdout)[str(out)]["faults"]
    assert faults, "the data and the models are not there yet"
    places = ("catalogue", "features.", "models.")
    assert [fault for fault in faults if not fault.startswith(places)] == []


def test_prints_json_for_programs(sources: dict[str, list[str | Path]], tmp_path: Path) -> None:
    out = tmp_path / "shop.yaml"
    report = json.loads(
        convert("metarank", *sources["metarank"], "--out", out, "--name", "kiosk", "--json").stdout
    )
    assert (report["name"], report["pipeline"]) == ("kiosk", str(out))
    assert sum(report["counts"].values()) == len(report["findings"])
    assert {finding["outcome"] for finding in report["findings"]} == {"mapped", "decide", "none"}


def test_lines_are_not_wrapped_without_a_terminal(
    sources: dict[str, list[str | Path]], tmp_path: Path
) -> None:
    shown = convert("triton", *sources["triton"], "--out", tmp_path / "shop.yaml")
    (line,) = [line for line in shown.stdout.splitlines() if "tensor user_vector" in line]
    assert "context (the caller)" in line


def test_existing_files_are_kept(sources: dict[str, list[str | Path]], tmp_path: Path) -> None:
    out = tmp_path / "shop.yaml"
    out.write_text("mine")
    refused = convert("metarank", *sources["metarank"], "--out", out)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.output
    assert out.read_text() == "mine"
    assert not (tmp_path / "shop-features.yaml").exists()
    assert convert("metarank", *sources["metarank"], "--out", out, "--overwrite").exit_code == 0


def test_a_faulty_source_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    for system in ("metarank", "triton", "vespa"):
        refused = convert(system, tmp_path / "absent", "--out", tmp_path / "shop.yaml")
        assert refused.exit_code == 2
        assert refused.output.startswith("error: ")
        assert len(refused.output.splitlines()) == 1
    for system in ("metarank", "vespa"):
        assert "no such file" in convert(system, "/dev/zero", "--out", tmp_path / "shop.yaml").output
    assert list(tmp_path.iterdir()) == []


def test_the_output_must_be_yaml(sources: dict[str, list[str | Path]], tmp_path: Path) -> None:
    refused = convert("metarank", *sources["metarank"], "--out", tmp_path / "shop.json")
    assert refused.exit_code == 2
    assert "--out: must end in .yaml" in refused.output
