"""All figures of a step's child, compared with its parent and with the original in one run."""

from collections.abc import Callable
from statistics import median

import numpy as np

from models.compress.data.base import RecipeData
from models.compress.data.runtime_scores import runtime_of, scores_alone
from models.compress.figures import Figures, Latency
from models.compress.measuring.rounds import Side, Times, time_sides
from models.compress.measuring.sizes import sizes_of
from models.compress.measuring.worker import SideFailure
from models.compress.quality import NAMES, Quality, quality_of
from models.compress.recipe import ORIGINAL, MeasureConfig
from models.compress.steps.base import Model
from models.errors import CompressionError, ModelError
from models.runtimes import runtime_kind

_REQUESTS = 16
"""Different requests for each number of candidates. A model that depends on its inputs is not measured on one only."""
_CHILD, _PARENT = "child", "parent"


class Meter:
    """Measures the models of a recipe. Qualities that are known already are not computed again."""

    def __init__(self, config: MeasureConfig, data: RecipeData, original: Model) -> None:
        """Set the measure, the lists and the original."""
        self._config = config
        self._data = data
        self._original = original
        self._qualities: dict[str, Quality | None] = {}

    def measure(self, child: Model, parent: Model, progress: Callable[[int, int], None]) -> Figures:
        """Return a child's figures. A child that cannot be loaded or executed has a fault instead.

        Args:
            child: the model. It may be the original itself.
            parent: the model that the step read.
            progress: called with the rounds of times that are done, and all rounds.

        Raises:
            ModelError: the original or the parent cannot be measured.
        """
        models = {ORIGINAL: self._original, _PARENT: parent, _CHILD: child}
        before = self._quality(self._original), self._quality(parent)
        if before[0] is None:
            raise CompressionError(
                f"model {self._original.artifact.name}: its scores of the report lists are NaN or infinite; train "
                f"it again"
            )
        if not before[0].value:
            raise CompressionError(
                f"model {self._original.artifact.name}: its {NAMES[self._config.metric]} on the report lists must be "
                f"above 0, got 0; train it longer, or add lists"
            )
        config = runtime_of(child.artifact)
        sizes = sizes_of(child.root, child.artifact, runtime_kind(config).suffix)
        try:
            quality = self._quality(child)
            if quality is None:
                fault = "its scores of the report lists are NaN or infinite"
                return Figures(runtime=config.kind, sizes=sizes, fault=fault)
            times = self._times(models, progress)
        except ModelError as error:
            is_of_another = isinstance(error, SideFailure) and error.side in {ORIGINAL, _PARENT}
            if is_of_another or child.root in {self._original.root, parent.root}:
                raise
            return Figures(runtime=config.kind, sizes=sizes, fault=str(error))
        of_original, of_parent = (
            quality.change_of(other) if other is not None and other.value else None for other in before
        )
        memory = times[_CHILD].memory
        return Figures(
            runtime=config.kind,
            sizes=sizes,
            peak_mib=memory.peak_mib,
            model_mib=memory.peak_mib - memory.before_mib,
            latencies=tuple(_latency(count, times) for count in sorted(self._config.candidates)),
            quality=quality.interval(),
            scored_alone=scores_alone(child),
            change_of_parent=of_parent,
            change_of_original=of_original,
        )

    def _quality(self, model: Model) -> Quality | None:
        version = model.artifact.version
        if version not in self._qualities:
            scores = self._data.scores(model)
            self._qualities[version] = quality_of(scores, self._data.labels(), self._config.metric)
        return self._qualities[version]

    def _times(self, models: dict[str, Model], progress: Callable[[int, int], None]) -> dict[str, Times]:
        """Return the times of the three models. Those that are the same model are measured once."""
        sides, same = dict[str, Side](), dict[str, str]()
        for name, model in models.items():
            same[name] = next((other for other in sides if models[other].root == model.root), name)
            if same[name] == name:
                sides[name] = self._side(model)
        times = time_sides(sides, self._config.seconds, progress)
        return {name: times[same[name]] for name in models}

    def _side(self, model: Model) -> Side:
        signature = model.artifact.signature
        requests = {
            count: self._data.requests(signature, count, _REQUESTS)
            for count in sorted(self._config.candidates)
        }
        return Side(model.root, runtime_of(model.artifact), requests)


def _latency(candidates: int, times: dict[str, Times]) -> Latency:
    child = times[_CHILD]
    of_original, of_parent = (child.ratios(times[name], candidates) for name in (ORIGINAL, _PARENT))
    return Latency(
        candidates=candidates,
        p50_ms=child.percentile_ms(candidates, 50),
        p99_ms=child.percentile_ms(candidates, 99),
        calls=child.calls(candidates),
        of_parent=median(of_parent),
        of_parent_at_best=float(np.percentile(of_parent, 75)),
        of_original=median(of_original),
        spread=(max(of_original) - min(of_original)) / median(of_original),
    )
