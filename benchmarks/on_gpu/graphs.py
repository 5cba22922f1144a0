"""CUDA graphs: one per bucket, that is per shape of the inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.on_gpu.inputs import Tensors

_WARM_UPS = 3


class Graphed:
    """A captured call for inputs of one shape. The result is overwritten by the next call."""

    def __init__(self, function: Callable[[Tensors], Tensor], example: Tensors) -> None:
        """Capture ``function``.

        It first runs on another stream, because libraries allocate work space and compilers compile in the first calls,
        which is not allowed during the capture. Each graph has a memory pool of its own. So several graphs may be
        replayed in any order.

        Args:
            function: maps inputs on the GPU to scores.
            example: inputs on the GPU. They are copied.
        """
        self._inputs = {name: tensor.clone() for name, tensor in example.items()}
        current = torch.cuda.current_stream()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                function(self._inputs)
        current.wait_stream(stream)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._scores = function(self._inputs)

    def __call__(self, inputs: Tensors) -> Tensor:
        """Copy the inputs, which may be pinned, into the graph's own inputs, and replay the graph."""
        for name, own in self._inputs.items():
            own.copy_(inputs[name], non_blocking=True)
        self._graph.replay()
        return self._scores


class GraphPerShape:
    """Captures a graph for every new shape, and replays it for later inputs of this shape."""

    def __init__(self, function: Callable[[Tensors], Tensor]) -> None:
        """Take a function from inputs on the GPU to scores."""
        self._function = function
        self._graphs: dict[tuple[tuple[str, torch.Size], ...], Graphed] = {}

    def __call__(self, inputs: Tensors) -> Tensor:
        """Return the scores. The next call with the same shape overwrites them."""
        shape = tuple((name, inputs[name].shape) for name in sorted(inputs))
        if shape not in self._graphs:
            device = torch.device("cuda", torch.cuda.current_device())
            example = {name: tensor.to(device) for name, tensor in inputs.items()}
            self._graphs[shape] = Graphed(self._function, example)
        return self._graphs[shape](inputs)
