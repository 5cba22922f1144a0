"""The weights of a unit's pools in one ingress replica: those of the policy, or else those of the configuration."""

from collections.abc import Callable, Mapping

Weights = Mapping[str, float]


class PoolWeights:
    """Passes on the weights to use. A policy's weights take precedence, in whatever order both arrive.

    Serve passes on the configured weights at the start of a replica, and again when replicas are renumbered.
    """

    def __init__(self, use: Callable[[Weights], object]) -> None:
        """Call ``use`` with the weights whenever they change."""
        self._use = use
        self._configured: Weights = {}
        self._decided: Weights = {}

    def configure(self, weights: Weights) -> None:
        """Take the weights of the configuration."""
        self._configured = weights
        self._pass_on()

    def decide(self, weights: Weights) -> None:
        """Take the weights of the policy. Empty if it does not decide on them."""
        self._decided = weights
        self._pass_on()

    def _pass_on(self) -> None:
        weights = self._decided or self._configured
        if weights:
            self._use(weights)
