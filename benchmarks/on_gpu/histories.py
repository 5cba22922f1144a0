"""Encoded histories that are kept between requests, on the GPU or in pinned main memory.

A request whose history is kept only scores its candidates. Encoded histories are large: 2 numbers per token, layer and
width. From pinned memory they are copied for each batch, on a stream of their own.
"""

import torch
from torch import Tensor

from benchmarks.on_gpu.inputs import Tensors, on_device
from models.architectures.history_ranker import HistoryRanker


class EncodedOnDevice:
    """Keeps the encoded histories of a batch's users on the device. A batch gathers them by row."""

    def __init__(self, module: HistoryRanker, device: torch.device) -> None:
        """Take the ranker. Histories are encoded when a batch is larger than all before."""
        self._module, self._device = module, device
        self._kept: Tensor | None = None

    def __call__(self, inputs: Tensors) -> Tensor:
        """Return the scores of users whose histories are kept: request i is user i."""
        requests = len(inputs["past_number"])
        if self._kept is None or len(self._kept) < requests:
            self._kept = self._module.encode(on_device(inputs, self._device))
        users = torch.arange(requests, device=self._device)
        encoded = self._kept.index_select(0, users)
        return self._module.score(_without_past(inputs, self._device), encoded)


class EncodedPinned:
    """Keeps the encoded histories in pinned main memory, and copies those of a batch to the device."""

    def __init__(self, module: HistoryRanker, device: torch.device) -> None:
        """Take the ranker. Histories are encoded when a batch is larger than all before."""
        self._module, self._device = module, device
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._kept: Tensor | None = None

    def __call__(self, inputs: Tensors) -> Tensor:
        """Return the scores of users whose histories are kept: request i is user i."""
        requests = len(inputs["past_number"])
        if self._kept is None or len(self._kept) < requests:
            encoded = self._module.encode(on_device(inputs, self._device)).cpu()
            self._kept = encoded.pin_memory() if self._copies is not None else encoded
        if self._copies is None:
            encoded = self._kept[:requests].clone()
        else:
            current = torch.cuda.current_stream(self._device)
            with torch.cuda.stream(self._copies):
                # The copy overlaps with the batch before, which the current stream still executes.
                encoded = self._kept[:requests].to(self._device, non_blocking=True)
            current.wait_stream(self._copies)
            encoded.record_stream(current)  # its memory is not reused before the scores are computed
        return self._module.score(_without_past(inputs, self._device), encoded)


def _without_past(inputs: Tensors, device: torch.device) -> Tensors:
    """Return the inputs on the device, without those of the history, which scoring does not read."""
    return on_device({name: each for name, each in inputs.items() if not name.startswith("past_")}, device)
