"""Linear layers of other sizes than the architecture gives them, and factorised linear layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:  # modules run without pydantic
    from models.architectures.linear_sizes import LinearSize


class LowRank(nn.Module):
    """A linear layer whose matrix is a product of two matrices: x -> second(first(x)).

    Attributes:
        first: maps the inputs to ``rank`` numbers. It has no bias.
        second: maps these to the outputs.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, *, bias: bool) -> None:
        """Build the two layers with random weights."""
        super().__init__()
        self.first = nn.Linear(inputs, rank, bias=False)
        self.second = nn.Linear(rank, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product (..., outputs) for x (..., inputs)."""
        product: Tensor = self.second(self.first(x))
        return product


def resize(module: nn.Module, linears: "Mapping[str, LinearSize]") -> None:
    """Replace linear layers by layers of other sizes, with random weights.

    Args:
        module: the module, as its architecture builds it.
        linears: the sizes by dotted name.

    Raises:
        ArtifactError: a name is not that of a linear layer.
    """
    for name, size in linears.items():
        parent, _, child = name.rpartition(".")
        old = dict(module.named_modules()).get(name)
        if not isinstance(old, nn.Linear):
            from models.errors import ArtifactError

            raise ArtifactError(
                f"architecture.linears: must name linear layers of the module, got {name!r}; copy the artifact again"
            )
        inputs, outputs = size.inputs or old.in_features, size.outputs or old.out_features
        bias = old.bias is not None
        new = (
            nn.Linear(inputs, outputs, bias=bias)
            if size.rank is None
            else LowRank(inputs, outputs, size.rank, bias=bias)
        )
        setattr(module.get_submodule(parent), child, new)


def parts_of(product: nn.Module) -> tuple[nn.Linear, nn.Linear]:
    """Return the layer that reads a product's inputs and the layer that makes its outputs. They may be the same.

    Raises:
        TypeError: the module is neither a linear layer nor a factorised one.
    """
    if isinstance(product, LowRank):
        return product.first, product.second
    if isinstance(product, nn.Linear):
        return product, product
    raise TypeError(f"expected a linear layer, got {type(product).__name__}")


def matrix_of(product: nn.Module) -> Tensor:
    """Return the matrix (outputs, inputs) of a linear layer, or the product of a factorised one."""
    first, second = parts_of(product)
    return second.weight if first is second else second.weight @ first.weight
