"""The form in which a GPU runs the history ranker: fused attention, joined projections, no needless inputs.

The scores equal those of the other form up to rounding. CPUs keep the other form, and their scores.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from models.architectures.attention.fused import FUSED
from models.architectures.history_ranker import HistoryRanker
from models.architectures.layers import layers_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.architectures.attention.kernels import Kernels

_HEAD_DIM_MULTIPLE = 8
"""The fused kernels on GPUs read heads in parts of this size."""


def to_gpu_form(module: nn.Module, kernels: "Kernels" = FUSED) -> None:
    """Bring a module into the form for GPUs, if it is a history ranker. It must be on its device, with its weights."""
    if not isinstance(module, HistoryRanker):
        return
    for layer in layers_of(module.layers):
        layer.join()
    if module.options.width // module.options.heads % _HEAD_DIM_MULTIPLE == 0:
        module.kernels = kernels


def without_needless(inputs: "Mapping[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
    """Return the inputs without those that the history ranker does not need for this batch.

    These are the chunks' requests if every request is one chunk, and the history mask if no history is padded. This
    is known before the inputs are copied to the GPU. To ask the GPU would mean to wait for it.
    """
    mask, chunk_of = inputs.get("history_mask"), inputs.get("chunk_of")
    needless = set()
    if mask is not None and chunk_of is not None and np.array_equal(chunk_of, np.arange(len(mask))):
        needless.add("chunk_of")
    if mask is not None and mask.all():
        needless.add("history_mask")
    return {name: values for name, values in inputs.items() if name not in needless}
