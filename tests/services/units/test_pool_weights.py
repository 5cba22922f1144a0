"""Which weights an ingress replica uses."""

from collections.abc import Mapping

import pytest

from services.units.pool_weights import PoolWeights

CONFIGURED, DECIDED = {"cpu": 1.0, "gpu": 1.0}, {"cpu": 0.0, "gpu": 1.0}


def used(*steps: tuple[str, Mapping[str, float]]) -> Mapping[str, float]:
    """Return the weights in use after these steps."""
    passed: list[Mapping[str, float]] = []
    weights = PoolWeights(passed.append)
    for method, taken in steps:
        getattr(weights, method)(taken)
    return passed[-1] if passed else {}


@pytest.mark.parametrize(
    "steps",
    [
        [("configure", CONFIGURED), ("decide", DECIDED)],
        [("decide", DECIDED), ("configure", CONFIGURED)],
        [("configure", CONFIGURED), ("decide", DECIDED), ("configure", {"cpu": 5.0, "gpu": 1.0})],
    ],
    ids=["at-start", "decided-before-the-start-ends", "renumbered"],
)
def test_weights_of_the_policy_take_precedence_in_any_order(
    steps: list[tuple[str, Mapping[str, float]]],
) -> None:
    assert used(*steps) == DECIDED


def test_configured_weights_are_used_until_a_policy_decides_and_after_it_stops_deciding() -> None:
    assert used(("configure", CONFIGURED)) == CONFIGURED
    assert used(("decide", {}), ("configure", CONFIGURED)) == CONFIGURED
    assert used(("configure", CONFIGURED), ("decide", DECIDED), ("decide", {})) == CONFIGURED
