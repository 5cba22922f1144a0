from pathlib import Path

import pytest

from benchmarks.harness.environments import Unavailable, environment, versions


@pytest.mark.slow  # makes an environment with pip
def test_an_environment_is_made_once_and_a_failed_installation_is_reported(
    tmp_path: Path,
) -> None:
    folder, requirements = tmp_path / "with space", tmp_path / "nothing.txt"
    requirements.write_text("# no packages\n")
    python = environment(requirements, folder)
    made_ns = python.lstat().st_mtime_ns
    assert environment(requirements, folder) == python
    assert python.lstat().st_mtime_ns == made_ns
    assert versions(python, ["pip"]).keys() == {"python", "pip"}
    with pytest.raises(Unavailable, match="PackageNotFoundError"):
        versions(python, ["no-such-package"])

    requirements.write_text(f"{tmp_path}/missing.whl\n")
    with pytest.raises(Unavailable, match=r"missing\.whl"):
        environment(requirements, folder)
    # Without its mark, the next call makes the failed environment again.
    assert len(list(folder.glob("*/complete.txt"))) == 1


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    requirements = tmp_path / "nothing.txt"
    requirements.write_text("")
    with pytest.raises(Unavailable, match="its environment cannot be written"):
        environment(requirements, requirements / "below a file")
