"""A log's folder can be on any file system."""

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from services.errors import ConfigError
from services.logs.folder import LogFolder
from services.logs.writer import LogWriter
from tests.services.logs.lists import Counts, batch_of, config, shown


def test_writes_to_any_file_system_and_names_an_unknown_one(tmp_path: Path) -> None:
    counts, memory = Counts(), LogFolder.at("memory://served/log/", tmp_path, field="log.path")
    writer = LogWriter(config(), memory, counts)
    writer.add([shown(batch_of([2]), 0, "a")], 0.0)
    writer.roll(0.0, everything=True)
    names = MemoryFileSystem().find("/served/log")
    assert len(names) == 1
    assert names[0].endswith("-000001.parquet")
    with pytest.raises(ConfigError, match="name a local folder, or install") as refused:
        LogFolder.at("nowhere://log", tmp_path, field="log.path")
    assert refused.value.field == "log.path"
