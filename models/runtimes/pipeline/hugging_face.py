"""A stage of a Hugging Face model, whatever its architecture: its own forward, without other ranks' parts.

The list of layers is cut to this rank's. Of a later rank what runs before the layers gives what has come from the rank
before; of an earlier one the forward ends when the last of its layers has run.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from models.architectures.sequence_classifier import SequenceClassifier
from models.runtimes.pipeline.base import MicroBatch, Schedule, Share, runs, share_of


class _Passed(Exception):
    """The last of this rank's layers has run."""

    def __init__(self, activations: Tensor) -> None:
        self.activations = activations


class HuggingFaceStage:
    """Some of the layers of an encoder, and the embeddings or the head."""

    def __init__(self, module: SequenceClassifier, rank: int, ranks: int) -> None:
        """Take this rank's share of the layers.

        Raises:
            ValueError: there are too few.
        """
        self._module = module
        self._width = int(module.model.config.hidden_size)
        base = f"model.{module.model.base_model_prefix}"
        lists = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.ModuleList)]
        path, layers = max(lists, key=lambda named: len(named[1]), default=("", nn.ModuleList()))
        children = [f"{base}.{name}" for name, _ in module.get_submodule(base).named_children()]
        holder = next((name for name in children if f"{path}.".startswith(f"{name}.")), None)
        if holder is None:
            raise ValueError("the model has no list of layers; use runtime.kind: onnx or torch")
        before = tuple(children[: children.index(holder)])
        beside = () if holder == path else (holder,)
        self._share = Share(path, share_of(layers, rank, ranks), len(layers), before, beside)
        self._given: Tensor | None = None

    def owns(self, name: str) -> bool:
        """Say whether this stage needs the tensor."""
        return self._share.owns(name)

    def ready(self) -> None:
        """Leave out what other ranks run."""
        share = self._share
        parent, _, name = share.path.rpartition(".")
        whole = self._module.get_submodule(share.path)
        assert isinstance(whole, nn.ModuleList)
        own = whole[share.layers.start : share.layers.stop]
        setattr(self._module.get_submodule(parent), name, own)
        if not share.is_first:
            for path in share.before:
                self._module.get_submodule(path).forward = self._come_in
            own[0].register_forward_pre_hook(self._enter, with_kwargs=True)
        if not share.is_last:
            own[-1].register_forward_hook(_leave)

    def schedule(self, inputs: Mapping[str, Tensor], micro_batches: int) -> Schedule:
        """Give the pairs in runs."""
        pairs, tokens = inputs[self._module.inputs[0]].shape
        parts = []
        for start, length in runs(pairs, tokens, micro_batches):
            own = {name: inputs[name].narrow(0, start, length) for name in self._module.inputs}
            parts.append(MicroBatch((length, tokens, self._width), partial(self._work, own)))
        return Schedule(parts, (pairs,))

    def _work(self, inputs: Mapping[str, Tensor], received: Tensor | None) -> Tensor:
        self._received = received
        try:
            scores: Tensor = self._module(inputs)
        except _Passed as passed:
            return passed.activations
        return scores

    def _come_in(self, *_: Any, **__: Any) -> Tensor:
        assert self._received is not None, "a later rank is given activations"
        return self._received

    def _enter(self, _layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the first layer read what has come, whatever was done to it on the way."""
        if args:
            return (self._come_in(), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._come_in()}


def _leave(_layer: nn.Module, _args: Any, output: Any) -> None:
    raise _Passed(output[0] if isinstance(output, tuple) else output)
