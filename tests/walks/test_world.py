import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from walks.presets import PRESETS
from walks.world import CODE, World, data_home, inputs_of, read_manifest, world_at

ROOT = Path(__file__).parents[2]


def test_home_is_the_argument_or_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path / "env"))
    assert data_home() == tmp_path / "env"
    assert data_home(tmp_path / "given") == tmp_path / "given"
    assert world_at("tiny").root == tmp_path / "env" / "walks" / "tiny"


def test_the_stamp_changes_with_config_and_every_file(tmp_path: Path) -> None:
    inputs, other = inputs_of("tiny"), tmp_path / "other"
    other.write_bytes(b"another")
    changed = [
        replace(inputs, map=other),
        replace(inputs, weather=other),
        replace(inputs, encoder=other),
        replace(inputs, tokenizer=other),
        replace(inputs, config=inputs.config.model_copy(update={"seed": 1})),
    ]
    assert len({inputs.stamp(), *(each.stamp() for each in changed)}) == 6
    assert inputs.stamp() == inputs_of("tiny").stamp()


def test_the_stamp_covers_the_code_that_a_build_runs() -> None:
    code = "import sys, walks.build; print(*filter(None, (getattr(m, '__file__', None) for m in sys.modules.values())))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    own_files = {Path(name) for name in run.stdout.split() if Path(name).is_relative_to(ROOT)}
    packages = {"walks", "models", "services"}
    used = {path.relative_to(ROOT) for path in own_files if path.relative_to(ROOT).parts[0] in packages}
    stamped = {path.relative_to(ROOT) for pattern in CODE for path in ROOT.glob(pattern)}
    allowed = {
        "services/paths.py",
        "models/code_identity.py",
        "models/errors.py",
        "services/errors.py",
        "services/plugins.py",
        "services/stores/base.py",
        "services/stores/guarded.py",
        "services/stores/kinds/registry.py",
    }
    unstamped = {str(path) for path in used - stamped if path.name != "__init__.py"}
    assert unstamped <= allowed, "a build runs code that its stamp does not cover"


def test_damaged_manifest_is_treated_as_missing(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert read_manifest(world) is None
    world.manifest.write_text("{half")
    assert read_manifest(world) is None
    world.manifest.write_text("[]")
    assert read_manifest(world) is None


def test_full_preset_has_at_least_5000_routes() -> None:
    assert PRESETS["full"].routes >= 5000
