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
    """Keeps the encoded histories in pinned main memory, and copies those of a batch to the device.

    There are two buffers on the device. While a batch reads one of them, the other is filled for the next batch.
    """

    def __init__(self, module: HistoryRanker, device: torch.device) -> None:
        """Take the ranker. Histories are encoded when a batch is larger than all before."""
        self._module, self._device = module, device
        self._kept: Tensor | None = None
        self._buffers: list[Tensor] = []
        self._turn = 0
        if device.type == "cuda":
            self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._was_read = [torch.cuda.Event() for _ in range(2)]  # type: ignore[no-untyped-call]

    def __call__(self, inputs: Tensors) -> Tensor:
        """Return the scores of users whose histories are kept: request i is user i."""
        requests = len(inputs["past_number"])
        if self._kept is None or len(self._kept) < requests:
            self._keep(self._module.encode(on_device(inputs, self._device)))
        assert self._kept is not None
        turn = self._turn
        self._turn = 1 - turn
        encoded = self._buffers[turn][:requests]
        if self._device.type != "cuda":
            encoded.copy_(self._kept[:requests])
            return self._module.score(_without_past(inputs, self._device), encoded)
        current = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(self._was_read[turn])
            encoded.copy_(self._kept[:requests], non_blocking=True)
        current.wait_stream(self._copies)
        scores = self._module.score(_without_past(inputs, self._device), encoded)
        self._was_read[turn].record(current)
        return scores

    def _keep(self, encoded: Tensor) -> None:
        self._kept = encoded.cpu()
        self._buffers = [torch.empty_like(encoded) for _ in range(2)]
        if self._device.type == "cuda":
            self._kept = self._kept.pin_memory()
            self._copies.wait_stream(
                torch.cuda.current_stream(self._device)
            )  # the buffers' memory may be in use


def _without_past(inputs: Tensors, device: torch.device) -> Tensors:
    """Return the inputs on the device, without those of the history, which scoring does not read."""
    return on_device({name: each for name, each in inputs.items() if not name.startswith("past_")}, device)
