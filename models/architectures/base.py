"""What every architecture offers beside its forward pass."""

from abc import abstractmethod
from collections.abc import Mapping

from pydantic import BaseModel
from torch import Tensor, nn

from models.signature import Signature


class Architecture(nn.Module):
    """A module that takes its inputs by name and gives scores; it can say what those inputs are."""

    options: BaseModel

    @abstractmethod
    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give scores, (N,) under layout flat, (B, M) under layout list."""

    @abstractmethod
    def signature(self, feature_hash: str) -> Signature:
        """Declare the inputs and where in a pipeline they come from."""

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Take constants of the encoders from training inputs.

        ``inputs["present"]``, bool (B, M), tells which slots hold a candidate. Nothing to do by default.
        """
