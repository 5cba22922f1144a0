"""A pipeline stage for any Hugging Face model: the model's own forward without the parts of other ranks.

The layer list is cut to this rank's layers. In all ranks but the first, the submodules before the layers return the
activations from the previous rank. In all ranks but the last, the forward ends after this rank's last layer.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from models.architectures.sequence_classifier import SequenceClassifier
from models.runtimes.pipeline.base import MicroBatch, Schedule, Share, stages_of
from models.runtimes.pipeline.cutting import Cutting, runs


class _ForwardEnded(Exception):
    """Ends the forward after this rank's last layer.

    Attributes:
        activations: that layer's output.
    """

    def __init__(self, activations: Tensor) -> None:
        self.activations = activations


class HuggingFaceStages:
    """Some layers of an encoder. The first rank also has the embeddings, the last rank the head."""

    def __init__(self, module: SequenceClassifier, rank: int, ranks: int, most_rounds: int) -> None:
        """Take this rank's share of the layers.

        Raises:
            ValueError: the model has no layer list, or fewer layers than ranks.
        """
        self._module = module
        self._width = int(module.model.config.hidden_size)
        encoder_name = f"model.{module.model.base_model_prefix}"
        lists = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.ModuleList)]
        list_name, layers = max(lists, key=lambda named: len(named[1]), default=("", nn.ModuleList()))
        children = [
            f"{encoder_name}.{name}" for name, _ in module.get_submodule(encoder_name).named_children()
        ]
        holder = next((name for name in children if f"{list_name}.".startswith(f"{name}.")), None)
        if holder is None:
            raise ValueError("the model has no list of layers; use runtime.kind: onnx or torch")
        before = tuple(children[: children.index(holder)])
        beside = () if holder == list_name else (holder,)
        stages = stages_of(layers, ranks, most_rounds)[rank]
        self.rounds = len(stages)
        self._share = Share(list_name, stages, len(layers), before, beside)
        self._layers: list[nn.ModuleList] = []
        self._received: Tensor | None = None

    def owns(self, name: str) -> bool:
        """Return whether this stage needs the named tensor."""
        return self._share.owns(name)

    def ready(self) -> None:
        """Remove other ranks' layers, and hook the forward to the previous and the next rank."""
        share = self._share
        whole = self._module.get_submodule(share.path)
        assert isinstance(whole, nn.ModuleList)
        self._layers = [whole[layers.start : layers.stop] for layers in share.stages]
        self._use(0)
        for path in share.before:
            part = self._module.get_submodule(path)
            part.forward = partial(self._received_or, part.forward)
        for round_, layers in enumerate(self._layers):
            if round_ or not share.is_first:
                layers[0].register_forward_pre_hook(self._replace_input, with_kwargs=True)
            if round_ + 1 < self.rounds or not share.is_last:
                layers[-1].register_forward_hook(_end_forward)

    def schedule(self, inputs: Mapping[str, Tensor], cutting: Cutting) -> Schedule:
        """Return the pairs, cut into runs."""
        pairs, tokens = inputs[self._module.inputs[0]].shape
        parts = []
        for start, length in runs(pairs, cutting.number(pairs, tokens)):
            own = {name: inputs[name].narrow(0, start, length) for name in self._module.inputs}
            parts.append(MicroBatch((length, tokens, self._width), partial(self._run_pairs, own)))
        return Schedule(parts, (pairs,))

    def _use(self, round_: int) -> None:
        """Make the module's layer list that of a round."""
        parent, _, name = self._share.path.rpartition(".")
        setattr(self._module.get_submodule(parent), name, self._layers[round_])

    def _run_pairs(self, inputs: Mapping[str, Tensor], round_: int, received: Tensor | None) -> Tensor:
        self._received = received
        self._use(round_)
        try:
            scores: Tensor = self._module(inputs)
        except _ForwardEnded as ended:
            return ended.activations
        return scores

    def _received_or(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the received activations. Without any, in the first stage, call ``forward``."""
        return forward(*args, **kwargs) if self._received is None else self._received

    def _replace_input(self, _layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Pass the received activations to the first layer, even if code before it has changed them."""
        assert self._received is not None, "only the first stage receives nothing"
        if args:
            return (self._received, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._received}


def _end_forward(_layer: nn.Module, _args: Any, output: Any) -> None:
    raise _ForwardEnded(output[0] if isinstance(output, tuple) else output)
