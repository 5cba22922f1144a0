import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.no_telemetry import NO_TELEMETRY, forbid_telemetry

ROOT = Path(__file__).resolve().parents[2]


def files_after(program: str, home: Path) -> list[Path]:
    """Run a program with a new home folder and return the files that it leaves there."""
    home.mkdir()
    switches = {*NO_TELEMETRY, "CI", "TF_BUILD", "JENKINS_URL"}  # OpenVINO's telemetry is off in CI
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    environment = {**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60, cwd=home)
    return [path for path in home.rglob("*") if path.is_file()]


def test_onnx_runtime_writes_no_files_after_telemetry_is_off(tmp_path: Path) -> None:
    forbidding = "from models.no_telemetry import forbid_telemetry; forbid_telemetry(); "
    assert files_after(f"{forbidding}import onnxruntime", tmp_path / "forbidden") == []


def test_openvino_writes_no_files_if_a_runtime_imports_it(tmp_path: Path) -> None:
    assert files_after("import openvino", tmp_path / "plain") != []  # otherwise this test proves nothing
    program = "from models.no_telemetry import import_openvino; import_openvino().Core()"
    assert files_after(program, tmp_path / "forbidden") == []


def test_command_line_switches_telemetry_off(tmp_path: Path) -> None:
    program = "import sys; sys.argv = ['rankway', '--help']; from cli.main import main\n"
    program += "try: main()\nexcept SystemExit: import onnxruntime"
    assert files_after(program, tmp_path / "command") == []


def test_keeps_a_variable_that_the_operator_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    forbid_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
