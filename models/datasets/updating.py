"""Bring the data of an event log up to date: build it if its files, configuration or code have changed.

Of the event files, only new and changed ones are read. An interrupted build continues with the file, and the part of
the file, at which it stopped. The later passes work on all events, as numbers in memory. So the data is the same, byte
for byte, as that of a build that reads all files.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.atomic_directory import recover
from models.code_identity import hash_of_code
from models.datasets import read_events
from models.datasets.build import EventData, write_event_data
from models.datasets.config import EventsConfig
from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress, silent
from models.datasets.files.reading import Files, open_files, read_files
from models.datasets.files.segment_store import FilesRead, segment_store
from models.writers import writing_in

_MODELS = Path(__file__).resolve().parent.parent
_CODE = ("datasets/**/*.py", "features/*.py", "impressions.py", "npy_append.py")
_WAIT_LIMIT_S = 5.0


@dataclass(frozen=True)
class Update:
    """What was done to bring data up to date.

    Attributes:
        is_built: whether the data was built now. If not, it was up to date.
        files: how many files of events were read. None: no files were read.
    """

    is_built: bool
    files: FilesRead | None = None


def ensure_event_data(
    config: EventsConfig, data: EventData, *, skip_bad: bool = False, progress: Progress = silent
) -> Update:
    """Build the data set, unless it exists and config, code and files are unchanged.

    One process at a time builds a data set.

    Args:
        config: the event log and its split.
        data: where to build it.
        skip_bad: skip bad rows, even if the configuration does not.
        progress: receives the progress of reading and writing.

    Raises:
        ArtifactError: the events are not installed or cannot be read. Existing data stays as it is.
        FolderBusy: another process was building the data set for 5 s.
    """
    recover(data.root)
    files = None if config.files is None else open_files(config)
    stamp = _stamp(config, files)
    if _is_up_to_date(data, stamp):
        return Update(is_built=False)
    bad = BadRows(skip=skip_bad or config.skip_bad)
    if files is None:
        write_event_data(read_events(config), config, data, stamp, bad, progress)
        return Update(is_built=True)
    writers = data.segments.with_name(f"{data.segments.name}.writing")
    with writing_in(writers, _WAIT_LIMIT_S, data.root) as staging:
        if _is_up_to_date(data, stamp):  # another process has just built it
            return Update(is_built=False)
        kept = segment_store(config, data.segments, staging)
        log = read_files(config, bad, progress, files, kept)
        write_event_data(log, config, data, stamp, bad, progress)
    return Update(is_built=True, files=kept.files)


def _is_up_to_date(data: EventData, stamp: str) -> bool:
    return data.manifest.is_file() and json.loads(data.manifest.read_text()).get("stamp") == stamp


def _stamp(config: EventsConfig, files: Files | None) -> str:
    """Return 16 hex digits over the config, the user's files, and the code that reads and writes the data set."""
    described = config.model_dump_json(exclude={"skip_bad"})
    identity = "" if files is None else files.identity
    return hashlib.sha256(f"{described} {_code()} {identity}".encode()).hexdigest()[:16]


@cache
def _code() -> str:
    return hash_of_code(path for pattern in _CODE for path in sorted(_MODELS.glob(pattern)))
