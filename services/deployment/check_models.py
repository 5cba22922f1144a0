"""Check a pipeline's models: their artifacts fit the pipeline, and each model runs on a batch."""

from functools import cached_property
from pathlib import Path

import numpy as np
import psutil

from autoscale.registries.errors import PLUGIN_ERRORS
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.errors import MissingPackage, ModelError, RuntimeFailure
from models.extras import require
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from models.runtimes import check_model, load_cut_runtime, load_runtime, runtime_kind
from models.runtimes.base import Runtime, RuntimeOptions, group_of
from models.runtimes.golden import check_golden
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.weight_sizes import MIB, weights_of
from models.signature import Inputs
from models.text.scorer import check_texts
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, placements
from services.deployment.check_plugins import prepared
from services.errors import ConfigError, StageFailed
from services.releases.warmup import batch_shapes, sample_batch
from services.stages.context import ContextLayout
from services.stages.scoring.scorer import scores_of

_GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))  # of NVIDIA and of AMD
_SMALL_BYTES = 64 * MIB
_CANDIDATES = 3
_TOKENS = 8


class ModelCheck:
    """Checks the models of one pipeline on one sample batch."""

    def __init__(
        self, config: PipelineConfig, home: Path, catalogue: Catalogue | None, definitions: FeatureSet | None
    ) -> None:
        """Prepare the checks. Without catalogue and definitions, only the artifacts themselves are checked."""
        self._config, self._home = config, home
        self._catalogue, self._definitions = catalogue, definitions

    def check(self, name: str) -> Artifact:
        """Check a model's artifact against the pipeline, without opening the model. Return the artifact.

        Raises:
            ConfigError, ModelError: the artifact cannot be used in this pipeline.
        """
        config, definitions = self._config, self._definitions
        root = self._root(name)
        artifact = Artifact.load(root, feature_hash=None if definitions is None else definitions.content_hash)
        try:
            self._check_inputs(artifact, root)
            self._check_runtime(name, artifact, root)
            ranker = config.ranker
            if ranker is not None and ranker.history_cache is not None and name == ranker.model:
                load_cut_runtime(root, artifact, config.models[name].runtime)
        except KeyError as error:
            raise ConfigError(
                f"the model needs the input {error}, which neither the feature definitions nor an earlier stage "
                f"provides; define it, or train the model without it"
            ) from error
        outputs = {spec.name for spec in artifact.signature.outputs}
        for output in self._outputs_used(name):
            if output not in outputs:
                raise ConfigError(
                    f"the model has no output {output!r}, which a stage names, got {', '.join(sorted(outputs))}; "
                    f"set this stage's field output to one of these"
                )
        return artifact

    def why_not_opened(self, name: str) -> str | None:
        """Return the reason for which a model cannot be opened in this process, or None if it can."""
        runtime = self._config.models[name].runtime
        try:
            kind = runtime_kind(runtime)
            if kind.extra is not None:
                require(kind.packages, kind.extra)
        except MissingPackage as error:
            return str(error)
        except ModelError:
            return f"its runtime {runtime.kind} cannot be used"  # ``runtime_faults`` reports the error
        if runtime.kind == "auto":
            return "no runtime could be chosen for it"
        if group_of(runtime) is not None or kind.load is None:
            return f"{runtime.kind} splits it over a shard group, which only `rankway serve` starts"
        if _may_need_gpu(runtime) and self._is_on_gpus(name) and not any(d.exists() for d in _GPU_DRIVERS):
            return "its unit runs on GPUs, and this machine has none"
        return self._memory_fault(name)

    def is_small(self, name: str) -> bool:
        """Return whether opening a model takes less than about a second: it is small, and needs no further packages."""
        runtime = self._config.models[name].runtime
        if runtime.kind != "onnx" or _may_need_gpu(runtime):
            return False
        root = self._root(name)
        return weights_of(root, Artifact.read(root)).whole_bytes <= _SMALL_BYTES

    def run(self, name: str, artifact: Artifact) -> None:
        """Open a model with its runtime, and run it on its golden requests and on one batch of unknown users.

        Raises:
            ConfigError, ModelError: the model cannot be opened, fails, or returns no finite number per candidate.
        """
        root, config = self._root(name), self._config.models[name].runtime
        try:
            runtime = load_runtime(root, artifact, config)
            check_golden(root, artifact, runtime, narrow=config.is_narrow)
            self._run_batch(name, artifact, runtime)
        except StageFailed as error:
            raise ConfigError(str(error)) from error
        except PLUGIN_ERRORS as error:
            if isinstance(error, ModelError | ConfigError):
                raise
            raise ConfigError(
                f"{config.kind} failed: {type(error).__name__}: {error}; correct its code or the model",
                field=f"models.{name}.runtime",
            ) from error

    def _run_batch(self, name: str, artifact: Artifact, runtime: Runtime) -> None:
        if self._catalogue is None or self._definitions is None:
            return
        if artifact.signature.pair is not None:
            return _refuse_unbounded(runtime.run(_pairs(artifact)))
        assembler, batch = InputAssembler(artifact.signature, self._catalogue), self._batch
        outputs = runtime.run(assembler(batch))
        for output in self._outputs_used(name):
            if output not in outputs:
                raise ConfigError(
                    f"the model returns no output {output!r}, got {', '.join(sorted(outputs)) or 'none'}; correct the "
                    f"outputs in artifact.yaml"
                )
            _refuse_unbounded({output: scores_of(artifact, assembler, outputs[output], batch, output)})

    @cached_property
    def _batch(self) -> RaggedBatch:
        """A batch as the stages before the ranker make it: two requests, or one if batches have only one."""
        assert self._catalogue is not None and self._definitions is not None
        requests = min(2, batch_shapes(self._config)[-1])
        batch = sample_batch(
            ContextLayout(self._definitions),
            FeatureView(self._definitions, self._catalogue),
            len(self._catalogue),
            requests,
            min(_CANDIDATES, self._config.candidates.count),
        )
        return prepared(self._config, self._catalogue, self._definitions, self._home, batch)

    def _check_runtime(self, name: str, artifact: Artifact, root: Path) -> None:
        """Find a model that its runtime cannot load or split here, and not in a replica that starts."""
        runtime = self._config.models[name].runtime
        if runtime.kind == "auto":  # no runtime could be chosen, which is reported already
            return
        try:
            check_model(root, artifact, runtime)
        except RuntimeFailure as error:
            field, _, problem = str(error).partition(": ")
            raise ConfigError(problem, field=f"models.{name}.{field}") from error

    def _check_inputs(self, artifact: Artifact, root: Path) -> None:
        """Assemble every input once, to find an undefined source here and not at start-up."""
        if self._catalogue is None or self._definitions is None:
            return
        if artifact.signature.pair is None:
            InputAssembler(artifact.signature, self._catalogue)(self._batch)
        else:
            check_texts(root, artifact.signature.pair, self._catalogue, self._batch)

    def _outputs_used(self, name: str) -> list[str]:
        stages = (self._config.ranker, self._config.reranker, self._config.fallback)
        return [stage.output for stage in stages if stage is not None and stage.model == name]

    def _is_on_gpus(self, name: str) -> bool:
        placed: list[Placement] = []
        ranker = self._config.ranker
        if ranker is not None and name == ranker.model:
            placed += placements(self._config, self._config.unit_of("ranker"))
        if any(s is not None and s.model == name for s in (self._config.reranker, self._config.fallback)):
            placed += placements(self._config, self._config.ingress_unit)
        return bool(placed) and all(placement.gpus for placement in placed)

    def _memory_fault(self, name: str) -> str | None:
        root = self._root(name)
        needed = weights_of(root, Artifact.read(root)).whole_bytes
        free = psutil.virtual_memory().available
        if needed <= free:
            return None
        return f"its weights need {needed / MIB:,.0f} MiB, and {free / MIB:,.0f} MiB are free"

    def _root(self, name: str) -> Path:
        return settled(self._home / self._config.models[name].artifact)


def _may_need_gpu(runtime: RuntimeOptions) -> bool:
    return runtime.needs_gpu if isinstance(runtime, OnnxConfig) else True


def _pairs(artifact: Artifact) -> Inputs:
    """Return two sequences of one token. Reading all texts of the catalogue would take long."""
    return {
        spec.name: np.zeros((2, _TOKENS), spec.dtype)
        if spec.source == "tokens.types"
        else np.ones((2, _TOKENS), spec.dtype)
        for spec in artifact.signature.inputs
    }


def _refuse_unbounded(outputs: Inputs) -> None:
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise ConfigError(
                f"output {name}: must be finite, got NaN or infinite scores for unknown users; train the model again"
            )
