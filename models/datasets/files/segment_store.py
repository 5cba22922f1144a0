"""The folder with the segments of a pipeline's event files.

It is a cache. It can be deleted at any time, and then the files are read again. The name of a segment is a hash of its
file and of everything else on which its content depends, so a changed file has other segments.
"""

import hashlib
import json
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa

from models.code_identity import hash_of_code
from models.datasets.config import EventsConfig
from models.datasets.files.checked import read_batch, save_batch
from models.datasets.files.segments import Segment, batch_of, segment_of
from models.datasets.files.tables import Table
from models.datasets.files.vector_store import VectorStore

_SUFFIX = ".segment"


@dataclass
class FilesRead:
    """How many files of events were read.

    Attributes:
        reused: files whose segments were all kept.
        read: other files.
        resumed: those of ``read`` whose first segments were kept.
    """

    reused: int = 0
    read: int = 0
    resumed: int = 0

    def __str__(self) -> str:
        """Return the counts, such as "3 files reused, 1 read"."""
        resumed = f" ({self.resumed:,} from where the last build stopped)" if self.resumed else ""
        return f"{self.reused:,} file{'s' * (self.reused != 1)} reused, {self.read:,} read{resumed}"


@dataclass(frozen=True)
class SegmentStore:
    """Segments by file.

    Attributes:
        root: the folder.
        staging: an empty folder on the same disk, for files that are being written.
        context: a text over the configuration and the code on which the segments depend.
        files: counts the files whose segments are used or read.
    """

    root: Path
    staging: Path
    context: str
    files: FilesRead = field(default_factory=FilesRead)

    def load(self, stamp: str, number: int, *, skip: bool) -> Segment | None:
        """Return the segment with this number of the file with this stamp.

        Args:
            stamp: the file's stamp.
            number: from 0.
            skip: whether bad rows are skipped. If not, a segment with bad rows is not used, so that the reader reports
                the first one.

        Returns:
            None if there is no such segment, it is damaged, or it left out a time that is no longer in the future.
        """
        batch = read_batch(self._path(stamp, number))
        if batch is None:
            return None
        segment = segment_of(batch)
        if (segment.bad.listed and not skip) or time.time() > segment.bad.until_s:
            return None
        return segment

    def save(self, stamp: str, number: int, segment: Segment) -> None:
        """Keep a segment, completely or not at all.

        Raises:
            ArtifactError: the folder cannot be written.
            OSError: the disk is full.
        """
        save_batch(self._path(stamp, number), batch_of(segment), self.staging)

    def clean(self, table: Table | None) -> None:
        """Remove the segments of all files that are not in the table. With None, remove all."""
        names = set() if table is None else {self._name(stamp) for stamp in table.stamps}
        for path in self.root.glob(f"*{_SUFFIX}"):
            if path.name.partition("-")[0] not in names:
                path.unlink(missing_ok=True)

    @property
    def vectors(self) -> VectorStore:
        """The vectors of the items' texts, in the same folder."""
        return VectorStore(self.root, self.staging)

    def _path(self, stamp: str, number: int) -> Path:
        return self.root / f"{self._name(stamp)}-{number:06}{_SUFFIX}"

    def _name(self, stamp: str) -> str:
        return hashlib.sha256(f"{self.context} {stamp}".encode()).hexdigest()[:20]


def segment_store(config: EventsConfig, root: Path, staging: Path) -> SegmentStore:
    """Return the store of a pipeline's segments."""
    described = config.model_dump_json(include={"columns", "time", "kinds"})
    return SegmentStore(root, staging, json.dumps([described, _code(), pa.__version__]))


@cache
def _code() -> str:
    return hash_of_code(sorted(Path(__file__).parent.glob("*.py")))
