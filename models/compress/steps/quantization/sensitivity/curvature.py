"""The curvature of the loss: the top eigenvalue of its Hessian for the weights of one layer.

A rounding error e of the weights raises the loss by at most half of the eigenvalue times the squared length of e, to
second order at a minimum. HAWQ (Dong et al. 2019, arXiv:1905.03696) and DeepSpeed's MoQ (deepspeed 0.9,
runtime/eigenvalue.py) choose the precision of layers by these eigenvalues, found by power iteration.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.architectures.base import Architecture
from models.compress.steps.base import Model, Work
from models.compress.steps.losses import label_loss
from models.compress.steps.modules import loaded
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import Layer, matrix_of
from models.compress.steps.quantization.layers.weight_codec import encode_matrix, weight_bits
from models.compress.steps.quantization.options import QuantizeOptions
from models.errors import TrainingError
from models.training.examples.lists import Lists

_MOST_ITERATIONS = 30
_TOLERANCE = 0.01
"""As in DeepSpeed, the iteration ends if an eigenvalue changes by less than this share."""
_TINY = 1e-30


def curvatures(
    options: QuantizeOptions, graph: Graph, layers: Sequence[Layer], lists: Lists, parent: Model, work: Work
) -> list[dict[str, float]]:
    """Return each layer's eigenvalue, the squared error of its quantised weights, and the product of both.

    Args:
        options: the step's options.
        graph: the parent's graph.
        layers: its layers.
        lists: lists with labels. Their intermediate results are in memory together.
        parent: a model with a module.
        work: the seed and the threads.

    Raises:
        TrainingError: the parent has no module, a layer is not in it, or the loss has no curvature on the lists.
    """
    required_module(parent, "sensitivity: curvature")
    torch.set_num_threads(work.threads)
    module = loaded(parent, "quantize").for_export()
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shapes = {matrix_of(graph, layer).T.shape for layer in layers}
    by_values = {
        digest(values.detach().numpy()): values
        for values in tensors.values()
        if tuple(values.shape) in shapes
    }
    weights = {}
    for layer in layers:
        found = by_values.get(digest(matrix_of(graph, layer).T))
        if found is None:
            raise TrainingError(
                f"quantize.sensitivity: curvature requires layers of the module, but {layer.name} of the graph is not "
                f"among them; use sensitivity: error"
            )
        weights[layer.name] = found
    values = eigenvalues_of(module, weights, lists, work)
    errors = [_squared_error(graph, layer, options) for layer in layers]
    return [
        {"eigenvalue": values[layer.name], "squared_error": error, "sensitivity": values[layer.name] * error}
        for layer, error in zip(layers, errors, strict=True)
    ]


def required_module(parent: Model, option: str) -> None:
    """Check that a model has a module.

    Raises:
        TrainingError: it has none.
    """
    if not parent.artifact.architecture:
        raise TrainingError(
            f"quantize: {option} requires a model with a module, but {parent.root} has only a graph; remove the "
            f"option, or do this step before other steps quantize"
        )


def eigenvalues_of(
    module: Architecture, weights: Mapping[str, Tensor], lists: Lists, work: Work
) -> dict[str, float]:
    """Return the top eigenvalue of the loss's Hessian for each weight, by the same name.

    Args:
        module: the module.
        weights: weights of the module. Each has a Hessian of its own.
        lists: lists with labels. Their intermediate results are in memory together.
        work: the seed.

    Raises:
        TrainingError: no list has a label above 0, or the loss has no curvature on the lists.
    """
    ends = lists.batch.offsets
    rated = [index for index in range(len(lists)) if (lists.labels[ends[index] : ends[index + 1]] > 0).any()]
    if not rated:
        raise TrainingError(
            "quantize: the curvature requires at least one list with a label above 0 in the split train; use "
            "sensitivity: error, or build a larger data set"
        )
    step = lists.step(np.array(rated))
    tensors = [weight.requires_grad_() for weight in weights.values()]
    found: dict[str, float] = {}
    with sdpa_kernel(SDPBackend.MATH):  # the other kernels have no second derivative
        loss = label_loss("softmax")(module(step.inputs), step)
        gradients = torch.autograd.grad(loss, tensors, create_graph=True, allow_unused=True)
        for name, weight, gradient in zip(weights, tensors, gradients, strict=True):
            found[name] = 0.0 if gradient is None else top_eigenvalue(gradient, weight, work.seed)
            work.progress("measuring layers", len(found), len(weights), name)
    if not any(found.values()):
        raise TrainingError(
            "quantize: the loss must be curved, got eigenvalues of 0 for all layers; use sensitivity: error"
        )
    return found


def top_eigenvalue(gradient: Tensor, weight: Tensor, seed: int) -> float:
    """Return the largest absolute eigenvalue of the Hessian for a weight, by power iteration.

    Args:
        gradient: the gradient of the loss for the weight, which can be derived again.
        weight: the weight.
        seed: seed of the first direction.

    Raises:
        TrainingError: a product is NaN or infinite.
    """
    if not gradient.requires_grad:  # the loss is linear in the weight
        return 0.0
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    direction /= direction.norm()
    value = 0.0
    for _ in range(_MOST_ITERATIONS):
        (product,) = torch.autograd.grad(
            gradient, weight, direction, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        before, value = value, float(product.norm())
        if not np.isfinite(value):
            raise TrainingError(
                "quantize.sensitivity: the curvature of the loss is NaN or infinite; use sensitivity: error"
            )
        if value < _TINY:
            return 0.0
        direction = product / value
        if abs(value - before) < _TOLERANCE * value:
            break
    return value


def digest(values: NDArray[Any]) -> bytes:
    """Return a hash of an array's numbers in the order of its rows."""
    return hashlib.blake2b(np.ascontiguousarray(values).data).digest()


def _squared_error(graph: Graph, layer: Layer, options: QuantizeOptions) -> float:
    matrix = matrix_of(graph, layer)
    bits = weight_bits(options.reduce_range)
    coded = encode_matrix(layer.name, matrix, per_channel=options.per_channel, bits=bits)
    return float(np.square(coded.decoded().astype(np.float64) - matrix).sum())
