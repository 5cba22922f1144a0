"""Singular values of a layer's matrix, and the layer's two factors for a rank.

With second moments S = R R^T of the inputs x, the factors minimise the mean of |(W - W') x|^2, as in DRONE (Chen et al.
2021) and SVD-LLM (Wang et al. 2024, arXiv:2403.12403): the singular value decomposition of W R is cut, and its right
side is multiplied by the inverse of R. Without moments, R is the identity, and the factors minimise |W - W'|.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.architectures.resizing import LowRank, parts_of

_DAMPING = 1e-6
"""Added to the moments' diagonal, as a share of its mean. So every input counts a little, also one that is always 0."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The singular values of a layer's matrix, without its factors, which take four times the layer's memory.

    Attributes:
        outputs: rows of the matrix.
        inputs: columns of the matrix.
        values: (n,), in falling order.
        current: parameters of the layer as it is, without its bias.
    """

    outputs: int
    inputs: int
    values: Tensor
    current: int

    @property
    def energies(self) -> Tensor:
        """Squared values as shares of their sum, (n,). They are all 0 for a matrix of zeros."""
        squares = self.values.square()
        return squares / squares.sum().clamp(min=torch.finfo(squares.dtype).tiny)

    @property
    def per_rank(self) -> int:
        """Parameters for each rank: a row and a column."""
        return self.outputs + self.inputs

    @property
    def largest_rank(self) -> int:
        """The largest rank with which the layer gets smaller. 0 if there is none."""
        return min((self.current - 1) // self.per_rank, len(self.values))


def matrix_of(product: torch.nn.Linear | LowRank) -> Tensor:
    """Return a layer's matrix (outputs, inputs) in 64 bits. That of a factorised layer is the product."""
    first, second = parts_of(product)
    weight = second.weight.detach().double()
    return weight if first is second else weight @ first.weight.detach().double()


def spectrum_of(product: torch.nn.Linear | LowRank, moments: Tensor | None = None) -> Spectrum:
    """Return the singular values of a layer's matrix.

    Args:
        product: the layer.
        moments: (inputs, inputs), the second moments of its inputs. None: all inputs count alike.
    """
    weight = matrix_of(product)
    first, second = parts_of(product)
    current = weight.numel() if first is second else first.weight.numel() + second.weight.numel()
    root = _root(moments)
    values = torch.linalg.svdvals(weight if root is None else weight @ root)
    return Spectrum(weight.shape[0], weight.shape[1], values, current)


def factors_of(
    product: torch.nn.Linear | LowRank, rank: int, moments: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the matrices of the first layer (rank, inputs) and the second layer (outputs, rank).

    Both get the root of the singular values, so that both train equally fast.

    Args:
        product: the layer.
        rank: the number of singular values that are kept.
        moments: as for ``spectrum_of``.
    """
    weight, root = matrix_of(product), _root(moments)
    left, values, right = torch.linalg.svd(weight if root is None else weight @ root, full_matrices=False)
    if root is not None:
        right = torch.linalg.solve_triangular(root, right, upper=False, left=False)
    roots = values[:rank].sqrt()
    return roots[:, None] * right[:rank], left[:, :rank] * roots


def _root(moments: Tensor | None) -> Tensor | None:
    """Return R with R R^T = the moments. None: R is the identity."""
    if moments is None or not moments.any():
        return None
    damped = moments + _DAMPING * moments.diagonal().mean() * torch.eye(len(moments), dtype=moments.dtype)
    root: Tensor = torch.linalg.cholesky(damped)
    return root
