"""Ranks: they keep the energy that was asked for, and obey the budget."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compress.steps.factorization.ranks import ranks_by_budget, ranks_by_energy
from models.compress.steps.factorization.spectra import Spectrum, spectrum_of
from models.errors import TrainingError

SIZES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5)


def spectra_of(sizes: list[tuple[int, int]], seed: int = 0) -> dict[str, Spectrum]:
    torch.manual_seed(seed)
    spectra = {f"layer{i}": spectrum_of(torch.nn.Linear(a, b)) for i, (a, b) in enumerate(sizes)}
    return {name: spectrum for name, spectrum in spectra.items() if spectrum.largest_rank}


@given(sizes=SIZES, energy=st.floats(0.01, 1.0))
@settings(max_examples=50, deadline=None)
def test_the_least_rank_with_enough_energy_is_chosen(sizes: list[tuple[int, int]], energy: float) -> None:
    spectra = spectra_of(sizes)
    for name, rank in ranks_by_energy(spectra, energy).items():
        kept = spectra[name].energies.cumsum(0)
        assert kept[rank - 1] >= energy - 1e-9
        assert rank == 1 or kept[rank - 2] < energy
        assert rank * spectra[name].per_rank < spectra[name].current


@given(sizes=SIZES, share=st.floats(0.01, 0.99))
@settings(max_examples=50, deadline=None)
def test_all_layers_together_obey_the_budget(sizes: list[tuple[int, int]], share: float) -> None:
    spectra = spectra_of(sizes)
    total = sum(spectrum.current for spectrum in spectra.values())
    try:
        ranks = ranks_by_budget(spectra, share)
    except TrainingError:
        assert sum(spectrum.per_rank for spectrum in spectra.values()) > int(share * total)
        return
    after = sum(
        ranks[name] * spectrum.per_rank if name in ranks else spectrum.current
        for name, spectrum in spectra.items()
    )
    assert after <= share * total


def test_more_energy_per_parameter_gets_the_higher_rank() -> None:
    steep, flat = torch.nn.Linear(20, 20), torch.nn.Linear(20, 20)
    with torch.no_grad():
        steep.weight.copy_(torch.diag(torch.tensor([10.0] + [0.1] * 19)))
        flat.weight.copy_(torch.eye(20))
    ranks = ranks_by_budget({"steep": spectrum_of(steep), "flat": spectrum_of(flat)}, 0.4)
    assert ranks == {"steep": 1, "flat": 7}


def test_a_budget_below_rank_one_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"low_rank.parameters: must leave room for rank 1 .* got 0.01"):
        ranks_by_budget(spectra_of([(20, 20)]), 0.01)
