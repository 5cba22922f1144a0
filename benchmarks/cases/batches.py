"""The inputs for a pipeline's models: real users, and candidates drawn as in the pipeline."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch, offsets_of
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs
from services.config.pipeline import PipelineConfig
from services.stages.candidates import candidate_source
from services.stages.context import ContextLayout
from services.stages.features import FeaturesStage, load_definitions, open_view
from services.stages.selection.top_k import best_of_each
from services.stores import open_store

RuntimeKind = Literal["onnx", "torch"]
_STORED_USERS = 997


class BatchMaker:
    """Makes ragged batches for one pipeline. Each batch is different."""

    def __init__(self, config: PipelineConfig, home: Path, seed: int) -> None:
        """Open the catalogue and the store."""
        definitions = load_definitions(home / config.features.definitions)
        self.catalogue = Catalogue.open(home / config.catalogue)
        self._layout = ContextLayout(definitions)
        self._source = candidate_source(config.candidates, self.catalogue, definitions)
        self._features = open_features(config, home, self.catalogue)
        self._random = np.random.default_rng(seed)

    def close(self) -> None:
        """Close the store. A process can open it once at a time."""
        if self._features.store is not None:
            self._features.store.close()

    def batch(self, requests: int) -> RaggedBatch:
        """Return a batch with `requests` requests and their user features."""
        users = [b"u-%06d" % user for user in self._random.integers(0, _STORED_USERS, requests)]
        context = self._layout.columns([self._layout.encode({})] * requests)
        candidates = self._source.draw(context, requests)
        batch = RaggedBatch(
            offsets=offsets_of(np.full(requests, candidates.shape[1])),
            rows=candidates.reshape(-1),
            requests={f"context.{name}": column for name, column in context.items()},
            user_keys=users,
        )
        return self._features(batch)


def open_features(config: PipelineConfig, home: Path, catalogue: Catalogue) -> FeaturesStage:
    """Return the pipeline's features stage, over its store."""
    definitions, store = load_definitions(home / config.features.definitions), config.features.store
    view = open_view(config.features, definitions, catalogue, home)
    return FeaturesStage(view, None if store is None else open_store(store, home))


def with_candidates(config: PipelineConfig, count: int) -> PipelineConfig:
    """Return the pipeline with ``count`` candidates in each request."""
    data = config.model_dump(mode="json")
    data["candidates"] |= {"count": count, "max_count": max(count, config.candidates.max_count)}
    return PipelineConfig.model_validate(data)


def shortened(batch: RaggedBatch, lengths: NDArray[np.int64]) -> RaggedBatch:
    """Return the batch with the first ``lengths`` (B,) candidates of its requests."""
    index = np.arange(batch.candidate_count) - batch.offsets[batch.request_of()]
    return batch.keep(np.flatnonzero(index < lengths[batch.request_of()]), offsets_of(lengths))


def owned(inputs: Inputs) -> Inputs:
    """Copy the inputs, because user features are strided, read-only views into packed rows, which torch rejects."""
    return {name: values.copy() for name, values in inputs.items()}


class RuntimeLoader:
    """Loads artifacts with a runtime kind and a thread count."""

    def __init__(self, kind: RuntimeKind, threads: int) -> None:
        """Load with ``kind``."""
        self.kind = kind
        self.threads = threads

    def __call__(self, root: Path) -> tuple[Artifact, Runtime]:
        """Load the artifact at ``root``.

        Raises:
            ModelError: there is no artifact, or it has no weights for this runtime.
        """
        artifact = Artifact.load(root)
        return artifact, load_runtime(root, artifact, runtime_config(kind=self.kind, threads=self.threads))


class BareModels:
    """The pipeline's models in the order in which a request passes them. They run on prepared inputs."""

    def __init__(self, config: PipelineConfig, home: Path, load: RuntimeLoader, catalogue: Catalogue) -> None:
        """Load the ranker and, if the pipeline has one, the reranker."""
        names = [
            config.required_ranker().model,
            *([] if config.reranker is None else [config.reranker.model]),
        ]
        self._best = 0 if config.reranker is None else config.reranker.best
        self._score = config.required_ranker().output
        self._models: list[tuple[InputAssembler, Runtime]] = []
        for name in names:
            root = home / config.models[name].artifact
            artifact, runtime = load(root)
            self._models.append((InputAssembler(artifact.signature, catalogue), runtime))

    def inputs(self, batch: RaggedBatch) -> list[Inputs]:
        """Return each model's inputs. The reranker's inputs come from the ranker's scores."""
        (assemble, runtime), *rerankers = self._models
        inputs = [owned(assemble(batch))]
        if rerankers:
            scores = assemble.flatten(runtime.run(inputs[0]), batch)[self._score]
            scored = batch.adding(candidates={"score": scores, "ranker": scores})
            inputs.append(owned(rerankers[0][0](best_of_each(scored, "score", self._best))))
        return inputs

    def run(self, inputs: list[Inputs]) -> NDArray[np.float32]:
        """Run all models on prepared inputs, and return the last model's first output."""
        outputs: Inputs = {}
        for (_, runtime), arrays in zip(self._models, inputs, strict=True):
            outputs = runtime.run(arrays)
        return next(iter(outputs.values()))
