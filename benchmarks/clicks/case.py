"""The trained DLRM's options and its rows: which clicks it learns from, and which clicks judge it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from benchmarks.clicks.teacher import CHUNK, Clicks, Teacher
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.errors import ArtifactError

Split = Literal["train", "select", "report"]
TABLE_ROWS = 200_000
"""Rows in each of the 26 embedding tables. With 64 float32 numbers in a row, the tables have 1.3 GB."""
LINEAGE = "clicks"
"""The entry in the lineage of the trained artifact, from which the same rows are drawn again."""


@dataclass(frozen=True, slots=True)
class Case:
    """Numbers of rows, and the seed of teacher, rows and training.

    Attributes:
        rows: training rows.
        held_out: rows of ``report``, which measure the AUC. ``select`` has half as many, for choices such as a
            calibration. None of them is a training row.
    """

    rows: int = 1_000_000
    held_out: int = 200_000
    seed: int = 1

    def count(self, split: Split) -> int:
        """Return a split's number of rows."""
        return {"train": self.rows, "select": self.held_out // 2, "report": self.held_out}[split]

    def chunks(self, teacher: Teacher, split: Split) -> Iterator[Clicks]:
        """Yield a split's rows in chunks. Memory does not grow with their number."""
        return teacher.chunks(self.count(split), self._first(split))

    def draw(self, teacher: Teacher, split: Split) -> Clicks:
        """Return a split's rows in one piece."""
        return teacher.draw(self.count(split), self._first(split))

    def teacher(self, options: DlrmOptions) -> Teacher:
        """Return the hidden teacher of a model with these options."""
        return Teacher(options, self.seed)

    def lineage(self) -> dict[str, Any]:
        """Return the entry for the trained artifact's lineage."""
        return {LINEAGE: asdict(self)}

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Return the case that an artifact was trained on.

        Raises:
            ArtifactError: it was not trained on generated clicks.
        """
        found = artifact.lineage.get(LINEAGE)
        if found is None:
            raise ArtifactError(
                f"artifact {artifact.name}: lineage must have the entry {LINEAGE}, got "
                f"{', '.join(artifact.lineage) or 'none'}; train it with python -m benchmarks.dlrm_clicks"
            )
        return cls(**found)

    def _first(self, split: Split) -> int:
        first = 0
        for each in ("train", "select", "report"):
            if each == split:
                break
            first += -(-self.count(each) // CHUNK) * CHUNK
        return first
