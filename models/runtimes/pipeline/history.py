"""A pipeline stage for the history ranker.

The history passes the stages first, and the candidates follow. Each stage stores the history's keys and values, which
the candidates need. Candidates do not attend to each other. So a batch can be cut between chunks, or inside all chunks.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from models.architectures.history_ranker import HistoryRanker
from models.architectures.layers import TransformerLayer, layers_of
from models.runtimes.pipeline.base import MicroBatch, Schedule, Share, stages_of
from models.runtimes.pipeline.cutting import Cutting, runs
from models.signature import Signature

_PATH = "layers"
_AFTER = ("score_norm", "score_proj")


class HistoryStages:
    """Some layers of a history ranker. Each layer processes the history first, and then the candidates."""

    def __init__(
        self, module: HistoryRanker, signature: Signature, rank: int, ranks: int, most_rounds: int
    ) -> None:
        """Take this rank's share of the layers.

        Raises:
            ValueError: there are fewer layers than ranks.
        """
        stages = stages_of(module.layers, ranks, most_rounds)[rank]
        names = [name for name, _ in (*module.named_children(), *module.named_parameters(recurse=False))]
        before = tuple(name for name in names if name not in {_PATH, *_AFTER})
        self.rounds = len(stages)
        self._share = Share(_PATH, stages, len(module.layers), before)
        self._module = module
        layers = list(layers_of(module.layers))
        self._stages = [layers[run.start : run.stop] for run in stages]
        self._candidate_input = next(spec.name for spec in signature.inputs if spec.per_candidate)

    def owns(self, name: str) -> bool:
        """Return whether this stage needs the named tensor."""
        return self._share.owns(name)

    def ready(self) -> None:
        """Do nothing: other ranks' layers are never called."""

    def schedule(self, inputs: Mapping[str, Tensor], cutting: Cutting) -> Schedule:
        """Return the history as the first part. The candidates follow, cut along the longer of their two axes."""
        requests, longest = inputs["history_mask"].shape
        chunks, count = inputs[self._candidate_input].shape[:2]
        axis = 0 if chunks > count else 1
        width = self._module.options.width
        batch = _Batch(self._module, self._stages, self._share, inputs, axis)
        parts = [MicroBatch((requests, 1 + longest, width), batch.encode)]
        elements, rows = (chunks, count) if axis == 0 else (count, chunks)
        number = cutting.number(elements, rows, first_rows=requests * (1 + longest))
        for start, length in runs(elements, number):
            shape = (length, count, width) if axis == 0 else (chunks, length, width)
            parts.append(MicroBatch(shape, partial(batch.score, start, length)))
        return Schedule(parts, (chunks, count), axis)


class _Batch:
    """A batch in this stage, with the history's keys and values, which the later parts need."""

    def __init__(
        self,
        module: HistoryRanker,
        stages: list[list[TransformerLayer]],
        share: Share,
        inputs: Mapping[str, Tensor],
        axis: int,
    ) -> None:
        self._module, self._stages, self._share = module, stages, share
        self._inputs, self._axis = inputs, axis
        self._past: list[Tensor] = []
        self._present: Tensor | None = None
        self._candidates: Tensor | None = None

    def encode(self, round_: int, history: Tensor | None) -> Tensor | None:
        """Store the history's keys and values in a round's layers, and return the history after these layers.

        The last stage returns None, because no layer follows.
        """
        if history is None:
            history = self._module.embed_history(self._inputs)
        is_last = self._is_last(round_)
        encoded, history = self._module.encode_through(self._stages[round_], history, is_last=is_last)
        self._past.append(encoded[self._inputs["chunk_of"]])
        self._present = self._module.kept_of(self._inputs, encoded.dtype)
        return None if is_last else history

    def score(self, start: int, length: int, round_: int, candidates: Tensor | None) -> Tensor:
        """Pass a run of candidates through a round's layers. The last stage returns scores, the others activations.

        Args:
            start: index of the run's first element, along the cut axis.
            length: number of elements.
            round_: the round.
            candidates: the previous stage's activations, or None at the first stage.
        """
        if candidates is None:
            if self._candidates is None:
                self._candidates = self._module.embed_candidates(self._inputs)
            candidates = self._candidates.narrow(self._axis, start, length)
        assert self._present is not None, "the history goes through the stages first"
        past, present = self._past[round_], self._present
        if self._axis == 0:
            past, present = past.narrow(0, start, length), present.narrow(0, start, length)
        activations = self._module.score_through(self._stages[round_], candidates, past, present)
        return self._module.scores_of(activations) if self._is_last(round_) else activations

    def _is_last(self, round_: int) -> bool:
        return self._share.is_last and round_ + 1 == len(self._stages)
