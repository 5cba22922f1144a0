"""Generated clicks as the data of a compression recipe."""

from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from benchmarks.clicks.case import Case
from benchmarks.clicks.teacher import Clicks
from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.atomic_directory import settled
from models.code_identity import hash_of_code
from models.compress.data.base import Call
from models.compress.data.runtime_scores import runtime_of
from models.compress.quality import Labels, Scores
from models.compress.steps.base import Model, Split
from models.errors import CompressionError
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.signature import Inputs, Signature
from models.training.examples.lists import Lists
from models.training.lineage import hash_of

_LIST = 100
"""Rows that are drawn together for an interval. Rows are independent, so any number would do."""
_ROWS_AT_ONCE = 200
_CODE = Path(__file__).parent


class ClicksData:
    """The clicks that a DLRM was trained and measured on.

    A request has consecutive held-out rows. Or its sparse features are drawn evenly from the whole tables, so that
    hardly any table row is in the processor's cache.
    """

    def __init__(self, artifact: Artifact, *, evenly: bool = False) -> None:
        """Take the trained model.

        Args:
            artifact: the model, whose lineage has its case.
            evenly: draw the sparse features of requests evenly.

        Raises:
            ArtifactError: it was not trained on generated clicks.
        """
        self._case, self._evenly = Case.of(artifact), evenly
        self._options = DlrmOptions.model_validate(artifact.architecture)

    @cached_property
    def key(self) -> str:
        """A hash of the case, the architecture, and the code that draws the rows."""
        options = self._options.model_dump(mode="json")
        code = hash_of_code(sorted(_CODE.glob("*.py")))
        return hash_of({**self._case.lineage(), "options": options, "code": code})

    @property
    def catalogue(self) -> Catalogue:
        """There is none.

        Raises:
            CompressionError: always.
        """
        self._refuse()

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Refuse, because the rows belong to no items.

        Raises:
            CompressionError: always.
        """
        self._refuse()

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        """Refuse, as ``lists`` does.

        Raises:
            CompressionError: always.
        """
        self._refuse()

    def labels(self) -> Labels:
        """Return the labels of the report rows."""
        return lists_of(self._report.labels)

    def scores(self, model: Model) -> Scores:
        """Return a model's scores (N,) of the report rows. See ``RecipeData.scores``."""
        artifact, rows = model.artifact, self._report
        runtime = load_runtime(settled(model.root), artifact, runtime_of(artifact))
        output = artifact.signature.outputs[0].name
        starts = range(0, len(rows), _ROWS_AT_ONCE)
        parts = [rows.rows(slice(start, start + _ROWS_AT_ONCE)) for start in starts]
        return np.concatenate([runtime.run(inputs_of(part))[output] for part in parts])

    def requests(self, signature: Signature, candidates: int, count: int) -> list[Call]:
        """Return all report rows as requests, at least ``count``.

        Fewer requests would read so few table rows that all of them stay in the processor's cache.
        """
        rows = self._report
        if self._evenly:
            random = np.random.default_rng(self._case.seed)
            drawn = random.integers(0, self._options.rows, rows.sparse.shape)
            rows = Clicks(rows.dense, drawn, rows.labels, rows.chances)
        made = max(count, len(rows) // candidates)
        numbers = (np.arange(made)[:, None] * candidates + np.arange(candidates)) % len(rows)
        return [[inputs_of(rows.rows(each))] for each in numbers]

    @cached_property
    def _report(self) -> Clicks:
        return self._case.draw(self._case.teacher(self._options), "report")

    def _refuse(self) -> NoReturn:
        raise CompressionError(
            "clicks: the step needs lists of items, and generated clicks have none; use quantize with mode dynamic or "
            "embeddings"
        )


def inputs_of(clicks: Clicks) -> Inputs:
    """Return the model's inputs for rows."""
    return {"dense": np.ascontiguousarray(clicks.dense), "sparse": np.ascontiguousarray(clicks.sparse)}


def lists_of(labels: NDArray[np.float32]) -> Labels:
    """Return labels (N,) with the groups of rows that are drawn together for an interval."""
    return Labels(labels, np.append(np.arange(0, len(labels), _LIST), len(labels)))
