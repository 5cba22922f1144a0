"""Packages beside an artifact: which one is loaded, and which are refused. Their code is not real here."""

from pathlib import Path

import pytest

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.pytorch.compiled import packages
from models.runtimes.pytorch.compiled.target import Target
from tests.models.runtimes.artifacts import CODE, write_model, write_package
from tests.models.worlds import make_pooled

HERE = Target.here(threads=1)
AOT = runtime_config(kind="torch", mode="aot")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def artifact(root: Path) -> Artifact:
    return write_model(root, make_pooled())


def test_lies_beside_the_artifact(root: Path, artifact: Artifact) -> None:
    folder = write_package(root, artifact, HERE)
    assert folder.parent == root.with_name("model.compiled")
    assert packages.find_package(root, artifact, HERE) == folder
    assert Artifact.load(root) == artifact


def test_error_without_a_package_names_the_command(root: Path, artifact: Artifact) -> None:
    with pytest.raises(
        RuntimeFailure, match=r"needs a package of small .*got none; run rankway models compile"
    ):
        load_runtime(root, artifact, AOT)


@pytest.mark.parametrize(
    ("field", "value", "difference"),
    [
        ("torch", "2.12.0", "one for torch 2.12.0, here"),
        ("cpu", ("avx2", "unknown1"), "a CPU with unknown1, which this CPU lacks"),
        ("threads", 4, "one for threads 4, here 1"),
        ("machine", "aarch64", "one for machine aarch64, here"),
        ("device", "H100", "one for device H100, here cpu"),
        ("code", "0" * 16, "one for the architectures of another version of Rankway"),
    ],
)
def test_refuses_a_package_for_another_machine(
    root: Path, artifact: Artifact, field: str, value: object, difference: str
) -> None:
    write_package(root, artifact, HERE.model_copy(update={field: value}))
    with pytest.raises(RuntimeFailure, match=difference):
        load_runtime(root, artifact, AOT)


def test_error_describes_the_package_with_the_fewest_differences(root: Path, artifact: Artifact) -> None:
    write_package(root, artifact, HERE.model_copy(update={"torch": "1", "threads": 2}))
    write_package(root, artifact, HERE.model_copy(update={"threads": 3}))
    with pytest.raises(RuntimeFailure, match="got one for threads 3, here 1; run"):
        packages.find_package(root, artifact, HERE)


def test_refuses_a_package_of_another_version(root: Path, artifact: Artifact) -> None:
    write_package(root, artifact, HERE)
    newer = artifact.model_copy(update={"version": "newer"})
    with pytest.raises(RuntimeFailure, match=f"got only packages of the versions {artifact.version}; run"):
        packages.find_package(root, newer, HERE)


def test_refuses_a_renamed_package(root: Path, artifact: Artifact) -> None:
    other = HERE.model_copy(update={"threads": 4})
    write_package(root, artifact, other).rename(packages.folder_of(root, artifact, HERE))
    with pytest.raises(RuntimeFailure, match="compiled for threads 4, here 1, and was renamed"):
        packages.find_package(root, artifact, HERE)


@pytest.mark.parametrize("content", [CODE[:-1], CODE + b"x", b""])
def test_refuses_a_damaged_package(root: Path, artifact: Artifact, content: bytes) -> None:
    code = write_package(root, artifact, HERE) / packages.CODE
    code.write_bytes(content)
    with pytest.raises(RuntimeFailure, match=r"must have the sha256 .* damaged; remove .*, and run rankway"):
        load_runtime(root, artifact, AOT)
    code.unlink()
    with pytest.raises(RuntimeFailure, match=r"must have the sha256 .* missing or damaged"):
        load_runtime(root, artifact, AOT)


def test_reports_code_that_pytorch_cannot_load(root: Path, artifact: Artifact) -> None:
    write_package(root, artifact, HERE)
    with pytest.raises(RuntimeFailure, match=r"model.compiled/.*: cannot be loaded by PyTorch: .*; remove"):
        load_runtime(root, artifact, AOT)


@pytest.mark.parametrize("text", ["", "artifact: [", "artifact: x", "\x00"])
def test_refuses_a_damaged_manifest(root: Path, artifact: Artifact, text: str) -> None:
    manifest = write_package(root, artifact, HERE) / packages.MANIFEST
    manifest.write_text(text)
    with pytest.raises(RuntimeFailure, match=r"package\.yaml: cannot be read: .*; remove"):
        packages.find_package(root, artifact, HERE)
    assert packages.packages_of(root) == {}
    assert not packages.is_current(root, artifact, HERE, "g++ 12")


def test_is_current_only_with_the_same_compiler(root: Path, artifact: Artifact) -> None:
    write_package(root, artifact, HERE)
    assert packages.is_current(root, artifact, HERE, "g++ 12")
    assert not packages.is_current(root, artifact, HERE, "g++ 13")


def test_removes_packages_of_replaced_versions_only(root: Path, artifact: Artifact) -> None:
    old = write_package(root, artifact.model_copy(update={"version": "old"}), HERE)
    other_cpu = write_package(root, artifact, HERE.model_copy(update={"cpu": ("avx2",)}))
    packages.remove_old_versions(root, artifact)
    assert not old.exists()
    assert set(packages.packages_of(root)) == {other_cpu}
