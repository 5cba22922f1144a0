"""Files of another system are read with limits."""

from pathlib import Path

import pytest

from cli.convert.sources import source_text
from services.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "cannot be read: 'utf-8' codec"),
        (b"x" * 11, "must have at most 10 bytes, got 11"),
        (None, "there is no such file"),
    ],
)
def test_refuses_what_is_no_small_text_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "source"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        source_text(path, 10)
