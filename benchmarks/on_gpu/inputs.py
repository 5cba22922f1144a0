"""Random inputs of a batch, as arrays in main memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.on_gpu.options import DlrmOptions, RankerOptions

Arrays = dict[str, NDArray[Any]]
Tensors = dict[str, Tensor]


def ranker_inputs(
    options: RankerOptions,
    requests: int,
    candidates: int,
    history: int,
    *,
    padded: bool = False,
    seed: int = 0,
) -> Arrays:
    """Return the inputs that a pipeline assembles for the ranker.

    Args:
        options: the ranker's options.
        requests: requests in the batch, all with the same number of candidates.
        candidates: candidates per request.
        history: the longest history.
        padded: draw the lengths of the histories between half of ``history`` and ``history``.
        seed: random seed.
    """
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32)

    inputs: Arrays = {}
    for name, shape in options.items.items():
        inputs[f"item_{name}"] = normal(requests, candidates, *shape)
        inputs[f"past_{name}"] = normal(requests, history, *shape)
    if options.number is not None:
        rows = options.number[1]
        inputs["item_number"] = random.integers(0, rows, (requests, candidates))
        inputs["past_number"] = random.integers(0, rows, (requests, history))
    inputs |= {column.name: np.abs(normal(requests, history)) for column in options.history_values}
    inputs |= {column.name: np.abs(normal(requests)) for column in options.context}
    if options.profile is not None:
        inputs["profile"] = normal(requests, *options.profile[1])
    for source, shape in options.request.items():
        inputs[source.replace(".", "_")] = normal(requests, *shape)
    for name, shape in options.cells.items():
        inputs[f"cell_{name}"] = normal(requests, candidates, *shape)
    for pair in options.distances:
        inputs[f"from_{pair.origin.replace('.', '_')}"] = normal(requests, 2)
        inputs[f"to_{pair.place}"] = normal(requests, candidates, 2)
    lengths = random.integers(history // 2, history + 1, requests) if padded else np.full(requests, history)
    inputs["history_mask"] = np.arange(history)[None] < lengths[:, None]
    inputs["chunk_of"] = np.arange(requests)
    return inputs


def dlrm_inputs(options: DlrmOptions, requests: int, candidates: int, *, seed: int = 0) -> Arrays:
    """Return the inputs of a DLRM for N = requests * candidates candidates."""
    random = np.random.default_rng(seed)
    count = requests * candidates
    return {
        "dense": random.standard_normal((count, options.dense), dtype=np.float32),
        "sparse": random.integers(0, options.rows, (count, options.fields)),
    }


def pinned(arrays: Arrays, device: torch.device) -> Tensors:
    """Return tensors in main memory. For a GPU they are pinned, so that copies to it do not block."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
    if device.type != "cuda":
        return tensors
    return {name: tensor.pin_memory() for name, tensor in tensors.items()}


def on_device(tensors: Tensors, device: torch.device) -> Tensors:
    """Return the tensors on a device. The copies do not wait for each other."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}


def candidate_slice(inputs: Tensors, candidate_names: Sequence[str], request: int, part: slice) -> Tensors:
    """Return one request with a part of its candidates."""
    return {
        name: tensor[request : request + 1, part]
        if name in candidate_names
        else tensor[request : request + 1]
        for name, tensor in inputs.items()
        if name != "chunk_of"
    }
