"""Base classes for architectures: a forward pass by input name, and a signature."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:  # modules run without pydantic
    from pydantic import BaseModel

    from models.signature import Signature


class Architecture(nn.Module):
    """A module that maps named inputs to scores, and declares these inputs in a signature.

    Attributes:
        options: the options that the module was built from. An artifact stores them.
    """

    options: "BaseModel"

    @abstractmethod
    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores.

        The shape depends on the signature's layout: (N,) for ``flat``, (B, M) for ``list``, (R, C) for
        ``chunks`` and (P,) for ``pairs``.
        """

    @abstractmethod
    def signature(self, feature_hash: str) -> "Signature":
        """Return the declared inputs and their sources in a pipeline."""

    def for_export(self) -> "Architecture":
        """Return the module from which the ONNX graph is made. Its scores are equal up to rounding."""
        return self

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Fit the encoders' constants to training inputs. The default does nothing.

        Args:
            inputs: training inputs by name, and ``present``, bool (B, M): True for slots with a
                candidate, False for padding.
        """


class EncodesHistory(Architecture):
    """An architecture that encodes the user's history before it reads any candidate.

    The encoded history is one tensor, which a cache can keep for the user's later requests.
    """

    @abstractmethod
    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the encoded histories, (B, T, ...).

        T is the longest history's length plus a constant. A history's tokens come first, then padding. The tokens
        do not depend on the padding or on other requests.
        """

    @abstractmethod
    def score(self, inputs: Mapping[str, Tensor], encoded: Tensor) -> Tensor:
        """Return the scores.

        Args:
            inputs: the inputs by name.
            encoded: result of ``encode``. Its padding is not read.
        """

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Encode the histories, then score the candidates."""
        return self.score(inputs, self.encode(inputs))
