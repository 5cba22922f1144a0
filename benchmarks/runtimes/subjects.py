"""The measured models, with their requests: DLRM, the walks ranker, trees, and MiniLM."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cases import dlrm
from benchmarks.cases.batches import BatchMaker, owned, shortened, with_candidates
from benchmarks.cases.minilm import TextRequests, draw_texts, write_minilm
from benchmarks.cases.trees import train_trees_if_missing
from benchmarks.cases.workloads import WORKLOADS
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError
from models.signature import Inputs
from models.text.scorer import TextConfig
from services.config.pipeline import PipelineConfig

MADE = "benchmarks"
"""The folder in the data home with the models that this benchmark makes."""
_MOST, _MOST_REQUESTS = 1000, 6


@dataclass(frozen=True)
class Subject:
    """A model, with its requests.

    Attributes:
        root: the artifact's folder.
        request: returns the calls of one request with this number of candidates. Each time it is another request.
        batches: yields this number of random calls, with several requests each if the model takes several.
        close: closes the store of the requests' features.
    """

    name: str
    root: Path
    artifact: Artifact
    request: Callable[[int], list[Inputs]]
    batches: Callable[[int], Iterator[Inputs]]
    close: Callable[[], None] = lambda: None


def _of_pipeline(name: str, pipeline: PipelineConfig, home: Path, root: Path) -> Subject:
    artifact = Artifact.load(root)
    maker = BatchMaker(with_candidates(pipeline, _MOST), home, seed=0)
    assemble, random = InputAssembler(artifact.signature, maker.catalogue), np.random.default_rng(0)

    def request(candidates: int) -> list[Inputs]:
        return [owned(assemble(shortened(maker.batch(1), np.array([candidates]))))]

    def batches(count: int) -> Iterator[Inputs]:
        for _ in range(count):
            lengths = random.integers(0, 200, int(random.integers(1, _MOST_REQUESTS + 1)))
            lengths[-1] += 1  # a call has at least one candidate
            yield owned(assemble(shortened(maker.batch(len(lengths)), lengths)))

    return Subject(name, root, artifact, request, batches, maker.close)


def _dlrm(home: Path) -> Subject:
    dlrm.build_if_missing(home)
    pipeline = WORKLOADS["dlrm"].pipeline()
    return _of_pipeline("dlrm", pipeline, home, home / "dlrm/artifact")


def _walks(home: Path) -> Subject:
    pipeline = WORKLOADS["walks-200"].pipeline()
    return _of_pipeline("walks", pipeline, home, home / pipeline.models["ranker"].artifact)


def _trees(home: Path) -> Subject:
    pipeline, root = WORKLOADS["walks-200"].pipeline(), home / MADE / "trees"
    train_trees_if_missing(root, pipeline, home)
    return _of_pipeline("trees", pipeline, home, root)


def _minilm(home: Path) -> Subject:
    root = home / MADE / "minilm"
    try:
        artifact = Artifact.load(root)
    except ArtifactError:
        artifact = write_minilm(root)
    return text_subject("minilm", root, artifact, draw_texts(_MOST, 1)[0])


def text_subject(name: str, root: Path, artifact: Artifact, texts: list[str]) -> Subject:
    """Return a text ranker, whose candidates are drawn from ``texts``. Its calls are those of a service."""
    random = np.random.default_rng(0)

    def request(candidates: int) -> list[Inputs]:
        drawn = [texts[index] for index in random.integers(0, len(texts), candidates)]
        return list(TextRequests.of(root, artifact, [drawn]).calls(0, TextConfig().max_tokens))

    def batches(count: int) -> Iterator[Inputs]:
        for _ in range(count):
            yield request(int(random.integers(1, 8)))[0]

    return Subject(name, root, artifact, request, batches)


SUBJECTS: Mapping[str, Callable[[Path], Subject]] = {
    "dlrm": _dlrm,
    "walks": _walks,
    "trees": _trees,
    "minilm": _minilm,
}
