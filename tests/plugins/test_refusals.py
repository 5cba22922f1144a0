"""Wrong names in a configuration and broken packages lead to errors that name a field, and never to a traceback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from services.app import StandaloneApp
from services.config.loading import load_config
from services.errors import ConfigError, ReleaseError
from services.releases.staging import ReleaseFolder
from tests.pipelines import bias_of, make_pipeline
from tests.plugins.packages import install, install_guide
from tests.plugins.pipelines import make_guide_pipeline
from tests.services.servers import ask, http_server, rank_request

CONSTANT = {"kind": "python", "target": "acme.plain:Constant", "options": {"score": 0.5}}


def python_runtime(**changes: Any) -> dict[str, Any]:
    return {"trust": ["acme"], "models": {"ranker": {"runtime": {**CONSTANT, **changes}}}}


def check(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv("RANKWAY_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "400")
    arguments = ["check", str(path)]
    result = CliRunner().invoke(root(arguments), arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def without_trust(path: Path) -> Path:
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({name: part for name, part in document.items() if name != "trust"}))
    return path


def test_rejects_every_part_of_an_untrusted_package(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_guide(site)
    (site / "acme" / "__init__.py").write_text("raise SystemExit('this code must not run')\n")
    code, output = check(without_trust(make_guide_pipeline(tmp_path)), tmp_path, monkeypatch)
    assert code == 2
    for field, module in (
        ("features.store.kind", "acme.stores:SQLITE"),
        ("candidates.kind", "acme.sources:NEWEST"),
        ("models.ranker.runtime.kind", "acme.runtimes:SUM"),
        ("stages.0.kind", "acme.stages:BOOST"),
        ("autoscaling.policy.kind", "acme.policies:STEPS"),
    ):
        assert (
            f"{field}: the configuration does not trust the package acme, got '{module}'; add acme" in output
        )


@pytest.mark.parametrize("trust", ["acme", ["acm"], ["acme_other"], ["acme.stores"], [7], {"acme": 1}, None])
def test_rejects_trust_that_is_not_a_list_of_full_package_names(
    site: Path, tmp_path: Path, trust: object
) -> None:
    install_guide(site)
    path = make_pipeline(tmp_path, python_runtime())
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"trust": trust}))
    with pytest.raises(ConfigError, match="trust") as refused:
        load_config(path)
    if not isinstance(trust, list):
        assert f"trust: expected a list, got {trust!r}" in str(refused.value)


def test_class_can_be_a_runtime_without_an_entry_point(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    path = make_pipeline(tmp_path, python_runtime())
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u3", "k": 1})).json
    assert [item["score"] for item in answer["items"]] == [0.5]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"target": "acme.plain"}, "models.ranker.runtime.target: String should match pattern"),
        (
            {"target": "os.path:join"},
            "the configuration does not trust the package os, got 'os.path:join'; add os",
        ),
        (
            {"target": "acme.policies:math.ceil"},
            "runtime.target: the attribute is not in this module, got 'acme.policies:math.ceil'; before the colon",
        ),
        ({"target": "acme.none:X"}, "models.ranker.runtime.target: there is no module acme.none"),
        ({"target": "acme.plain:None_"}, "the module acme.plain has no None_, got 'acme.plain:None_'"),
        (
            {"target": "acme.plain:Path"},
            "models.ranker.runtime.target: expected a class with a method run(inputs), got 'acme.plain:Path'",
        ),
        (
            {"kind": "acme_none"},
            "models.ranker.runtime.kind: unknown runtime, got 'acme_none'; use one of onnx,",
        ),
        ({"kind": ["onnx"]}, "models.ranker.runtime.kind: expected a name, got ['onnx']"),
    ],
)
def test_check_reports_a_wrong_target(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], fault: str
) -> None:
    install_guide(site)
    code, output = check(make_pipeline(tmp_path, python_runtime(**changes)), tmp_path, monkeypatch)
    assert code == 2
    assert fault in output


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"stages": [{"kind": "acme_boost", "after": "reranker", "column": "value"}]},
            "stages.0.after: Input",
        ),
        ({"stages": [{"kind": "acme_boost", "after": "ranker"}]}, "stages.0.column: missing; add it"),
        (
            {"stages": [{"kind": "acme_boost", "after": "ranker", "column": "none"}]},
            "the catalogue has no such column, got 'none'",
        ),
        (
            {"stages": [{"kind": "acme_boost", "after": "features", "column": "value"}]},
            "stages: a custom stage (acme_boost) failed on a sample batch of unknown users: KeyError: 'score'; "
            "fix its code",
        ),
        (
            {"stages": [{"kind": "acme_boost", "after": "ranker", "column": "embedding"}]},
            "stages: a custom stage (acme_boost) failed on a sample batch of unknown users: ValueError: operands",
        ),
        (
            {"stages": [{"kind": "acme_boost", "after": "ranker", "column": "value", "name": "queue"}]},
            "stages.0.name: another stage has this name, got 'queue'; set another name",
        ),
        ({"features": {"store": {"path": "none.sqlite"}}}, "features.store.path: there is no store, got"),
        ({"models": {"ranker": {"runtime": {"scale": "x"}}}}, "models.ranker.runtime.scale: Input should be"),
    ],
)
def test_check_reports_wrong_options_of_a_plug_in(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], fault: str
) -> None:
    install_guide(site)
    code, output = check(make_guide_pipeline(tmp_path, changes), tmp_path, monkeypatch)
    assert code == 2
    assert fault in output


BROKEN: Mapping[str, tuple[str, str]] = {
    "raises": (
        "raise RuntimeError('no licence')",
        "cannot be imported: RuntimeError: no licence; fix the module",
    ),
    "exits": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "imports what is not there": ("import nothing_of_the_kind", "needs the package nothing_of_the_kind"),
    "has no descriptor": ("x = 1", "the module zeta has no KIND"),
    "has another descriptor": (
        "KIND = 7",
        "the entry point of runtime zeta must be a RuntimeKind, got zeta:KIND of type int",
    ),
    "has other options": (
        "from models.runtimes.base import RuntimeKind\nfrom pydantic import BaseModel\n"
        "class Own(BaseModel): kind: str\nKIND = RuntimeKind(config=Own)",
        "the options of runtime zeta must be a subclass of RuntimeOptions",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_check_reports_a_broken_package_at_the_field_that_names_it(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    source, fault = BROKEN[case]
    install(site, "zeta", {"zeta.py": source}, {"rankway.runtimes": {"zeta": "zeta:KIND"}})
    path = make_pipeline(tmp_path, {"trust": ["zeta"], "models": {"ranker": {"runtime": {"kind": "zeta"}}}})
    code, output = check(path, tmp_path, monkeypatch)
    assert code == 2
    assert "models.ranker.runtime.kind: " in output
    assert fault in output


EXITS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "runtimes": (
        """
from models.runtimes.base import RuntimeKind, RuntimeOptions
KIND = RuntimeKind(config=RuntimeOptions, load=leave, check=leave)
""",
        {"models": {"ranker": {"runtime": {"kind": "zeta"}}}},
        "models.ranker.runtime: zeta failed: SystemExit: 0; correct",
    ),
    "stages": (
        """
from services.stages.custom import StageKind, StageOptions
KIND = StageKind(config=StageOptions, open=lambda config, context: leave)
""",
        {"stages": [{"kind": "zeta", "after": "ranker"}]},
        "stages: a custom stage (zeta) failed on a sample batch of unknown users: SystemExit: 0; fix",
    ),
    "stores": (
        """
from services.stores.base import StoreKind, StoreOptions
KIND = StoreKind(config=StoreOptions, open=leave)
""",
        {"features": {"store": {"kind": "zeta"}}},
        "features.store: kind zeta cannot be opened: SystemExit: 0; correct",
    ),
    "policies": (
        """
from autoscale.policies.base import PolicyKind, PolicyOptions
KIND = PolicyKind(config=PolicyOptions, make=leave, reads_profiles=False)
""",
        {"autoscaling": {"policy": {"kind": "zeta"}, "p99_ms": 100}},
        "autoscaling.policy: kind zeta cannot be created: SystemExit: 0; correct",
    ),
    "candidate_sources": (
        """
from services.stages.candidates import CandidatesConfig, SourceKind
KIND = SourceKind(config=CandidatesConfig, open=leave)
""",
        {"candidates": {"kind": "zeta", "count": 5}},
        "candidates: kind zeta cannot be opened: SystemExit: 0; correct",
    ),
}


@pytest.mark.parametrize("group", EXITS)
def test_check_reports_code_that_exits_and_continues(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    source, changes, fault = EXITS[group]
    leave = "import sys\ndef leave(*arguments): sys.exit(0)\n"
    install(site, "zeta", {"zeta.py": leave + source}, {f"rankway.{group}": {"zeta": "zeta:KIND"}})
    path = make_pipeline(tmp_path, {"trust": ["zeta"], **changes})
    code, output = check(path, tmp_path, monkeypatch)
    assert code == 2
    assert fault in output


_KIND = "from models.runtimes.base import *\n"
_OPTIONS = _KIND + "from pydantic import model_validator\nclass Own(RuntimeOptions):\n"
BROKEN_RUNTIMES: Mapping[str, tuple[str, str]] = {
    "raises for its options": (
        _OPTIONS + "    @model_validator(mode='after')\n    def check(self): raise RuntimeError('no')\n"
        "KIND = RuntimeKind(config=Own, load=print)",
        "runtime.kind: the options of this kind cannot be read: RuntimeError: no; fix the package",
    ),
    "raises for its bits": (
        _OPTIONS + "    @property\n    def is_narrow(self): raise RuntimeError('no')\n"
        "KIND = RuntimeKind(config=Own, load=print)",
        "runtime: zeta failed: RuntimeError: no; correct",
    ),
    "cannot say what it holds": (
        _KIND
        + "class Zero:\n    def run(self, inputs): return {'score': 0 * inputs['value']}\n"
        + "KIND = RuntimeKind(config=RuntimeOptions, load=lambda *_: Zero(), held=lambda config, weights: None)",
        "runtime: zeta failed: AttributeError: 'NoneType' object has no attribute 'rank_bytes'",
    ),
    "loads nothing": (
        _KIND + "KIND = RuntimeKind(config=RuntimeOptions)",
        "runtime.kind: the descriptor of zeta has no function load or load_rank; add one",
    ),
    "raises for a name": (
        "def __getattr__(name): raise RuntimeError('no')",
        "runtime.kind: the module zeta fails to return KIND: RuntimeError: no; fix the module",
    ),
}


@pytest.mark.parametrize("case", BROKEN_RUNTIMES)
def test_check_reports_a_runtime_whose_code_raises(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    source, fault = BROKEN_RUNTIMES[case]
    install(site, "zeta", {"zeta.py": source}, {"rankway.runtimes": {"zeta": "zeta:KIND"}})
    path = make_pipeline(tmp_path, {"trust": ["zeta"], "models": {"ranker": {"runtime": {"kind": "zeta"}}}})
    code, output = check(path, tmp_path, monkeypatch)
    assert code == 2
    assert f"models.ranker.{fault}" in output


@pytest.mark.parametrize("options", [{}, {"score": 1, "other": 2}, {"score": 1, "threads": 2}])
def test_check_reports_arguments_that_a_class_does_not_accept(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    install_guide(site)
    path = make_pipeline(tmp_path, {"trust": ["acme"], "models": {"ranker": {"runtime": {"kind": "python"}}}})
    document = yaml.safe_load(path.read_text())
    document["models"]["ranker"]["runtime"] = {**CONSTANT, "options": options}
    path.write_text(yaml.safe_dump(document))
    code, output = check(path, tmp_path, monkeypatch)
    assert code == 2
    assert "models.ranker.runtime.options: acme.plain:Constant does not take these arguments" in output


def test_rejects_two_packages_that_add_the_same_name(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    install(site, "zeta", {"zeta.py": ""}, {"rankway.candidate_sources": {"acme_newest": "zeta:SOURCE"}})
    with pytest.raises(
        ConfigError, match=r"several installed packages add this name, got .*; uninstall all but"
    ):
        load_config(make_guide_pipeline(tmp_path))


def test_package_cannot_replace_a_built_in_name(site: Path, tmp_path: Path) -> None:
    install(site, "zeta", {"zeta.py": "raise SystemExit"}, {"rankway.runtimes": {"onnx": "zeta:KIND"}})
    path = make_pipeline(tmp_path, {"trust": ["zeta"]})
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u3", "candidates": ["item-0000"]})).json
    assert answer["items"][0]["score"] == bias_of(3)


def test_rejects_a_release_with_a_package_that_its_pipeline_does_not_trust(
    site: Path, tmp_path: Path
) -> None:
    install_guide(site)
    config = load_config(make_guide_pipeline(tmp_path))
    folder = ReleaseFolder(tmp_path, config.name, config.trust)
    name = folder.stage(config).name
    assert folder.applied(config, name).models["ranker"].runtime == config.models["ranker"].runtime
    with pytest.raises(ReleaseError, match="does not trust the package"):
        ReleaseFolder(tmp_path, config.name).read(name)


def test_answers_without_user_features_if_the_store_raises(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    path = make_guide_pipeline(tmp_path)
    text = (site / "acme" / "stores.py").read_text()
    (site / "acme" / "stores.py").write_text(
        text.replace("        marks =", "        raise OSError\n        marks =")
    )
    with http_server(StandaloneApp(path, tmp_path)) as port:
        answer = ask(port, rank_request({"user_id": "u3", "k": 1})).json
    assert answer["degraded"] == "features"
    assert len(answer["items"]) == 1


def test_check_reports_a_source_that_draws_rows_outside_the_catalogue(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_guide(site)
    path = make_guide_pipeline(tmp_path)
    text = (site / "acme" / "sources.py").read_text()
    (site / "acme" / "sources.py").write_text(text.replace("np.tile(self._rows,", "np.tile(-self._rows,"))
    code, output = check(path, tmp_path, monkeypatch)
    assert code == 2
    assert "candidates: source acme_newest returned rows that are not in the catalogue, got -499" in output
