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


class EncodesHistory(Architecture):
    """One that makes one tensor of a user's past before it looks at any candidate: that tensor can be kept."""

    @abstractmethod
    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (B, T, ...): T is a constant and the longest history; a history's own tokens come first.

        They depend on that request's past alone, not on the padding behind it.
        """

    @abstractmethod
    def score(self, inputs: Mapping[str, Tensor], encoded: Tensor) -> Tensor:
        """Give the scores; of ``encoded`` nothing is read beyond a history's own tokens."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give the scores from the past and the candidates."""
        return self.score(inputs, self.encode(inputs))
