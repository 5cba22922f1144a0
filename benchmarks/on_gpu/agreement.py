"""Compares a variant's scores with the same model in float32, with attention by matrix products and eager PyTorch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.on_gpu.inputs import Tensors, candidate_slice, on_device
from benchmarks.on_gpu.modules import build_dlrm, build_ranker
from benchmarks.on_gpu.options import DlrmOptions, RankerOptions

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Largest allowed difference, relative to the largest score. Served models in bfloat16 have the same limit."""
_CANDIDATES = 512


class Disagreement(Exception):
    """A variant's scores differ from the reference by more than the tolerance."""


@dataclass(frozen=True)
class Reference:
    """Reference scores, (B, C) or (N,)."""

    scores: Tensor

    def difference(self, scores: Tensor, dtype: torch.dtype) -> float:
        """Return the largest difference, relative to the largest score.

        Raises:
            Disagreement: the scores are not finite or have another shape, or differ by more than the tolerance.
        """
        scores = scores.float()
        if scores.shape != self.scores.shape:
            raise Disagreement(
                f"expected scores of shape {list(self.scores.shape)}, got {list(scores.shape)}"
            )
        largest = float(self.scores.abs().max())
        difference = float((scores - self.scores).abs().max()) / largest
        if not difference <= TOLERANCE[dtype]:  # also true for NaN
            raise Disagreement(
                f"the scores differ from float32 by {difference:.2g} of the largest score, and at most "
                f"{TOLERANCE[dtype]:g} is allowed"
            )
        return difference


@torch.inference_mode()
def reference(options: RankerOptions | DlrmOptions, inputs: Tensors, device: torch.device) -> Reference:
    """Compute the reference scores on the device.

    A ranker computes one request and some of its candidates at a time. This needs little memory, and it tests
    that candidates do not depend on each other.
    """
    if isinstance(options, DlrmOptions):
        return Reference(build_dlrm(options, device)(on_device(inputs, device)).float())
    module = build_ranker(options, device)
    names = [name for name in inputs if name.startswith(("item_", "cell_", "to_"))]
    on_this = on_device(inputs, device)
    requests, count = on_this[names[0]].shape[:2]
    rows: list[Tensor] = []
    for request in range(requests):
        one = candidate_slice(on_this, names, request, slice(None))
        encoded = module.encode(one)
        parts = [
            module.score(candidate_slice(one, names, 0, slice(start, start + _CANDIDATES)), encoded)
            for start in range(0, count, _CANDIDATES)
        ]
        rows.append(torch.cat(parts, dim=1))
    return Reference(torch.cat(rows).float())
