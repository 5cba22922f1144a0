"""Both files are written, or none."""

from pathlib import Path

import pytest

from cli.convert.files import written_together
from services.errors import ConfigError


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    second.write_text("mine")
    with pytest.raises(ConfigError, match=r"must not exist, got .*b\.yaml.*--overwrite"):
        written_together({first: "new", second: "new"}, overwrite=False)
    assert not first.exists()
    assert second.read_text() == "mine"
    written_together({first: "new", second: "new"}, overwrite=True)
    assert second.read_text() == "new"


def test_nothing_is_left_if_the_second_file_cannot_be_written(tmp_path: Path) -> None:
    first = tmp_path / "a.yaml"
    with pytest.raises(ConfigError, match="cannot be written"):
        written_together({first: "new", tmp_path / "absent" / "b.yaml": "new"}, overwrite=False)
    assert list(tmp_path.iterdir()) == []
