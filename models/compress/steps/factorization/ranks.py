"""Chooses the ranks of layers: by the energy that each keeps, or within a budget of parameters for all."""

from collections.abc import Mapping

from models.compress.steps.factorization.spectra import Spectrum
from models.errors import TrainingError

_ROUNDING = 1e-12
"""Energy that may be lost although an option says that none may."""


def ranks_by_energy(spectra: Mapping[str, Spectrum], energy: float) -> dict[str, int]:
    """Return the smallest rank of each layer that keeps a share of its energy.

    Layers that would not get smaller are left out.
    """
    ranks = {}
    for name, spectrum in spectra.items():
        kept = spectrum.energies.cumsum(0)
        rank = 1 + int((kept < energy - _ROUNDING).sum())
        if rank <= spectrum.largest_rank:
            ranks[name] = rank
    return ranks


def ranks_by_budget(spectra: Mapping[str, Spectrum], share: float) -> dict[str, int]:
    """Return ranks with which all layers together have at most a share of their parameters.

    Every layer starts with rank 1. Then the singular values with the largest energy per parameter are added while the
    budget lasts. A layer that would not get smaller stays as it is, and is left out of the result.

    Raises:
        TrainingError: rank 1 for every layer is above the budget.
    """
    budget = int(share * sum(spectrum.current for spectrum in spectra.values()))
    ranks = {name: 1 for name in spectra}
    used = sum(_cost(spectrum, 1) for spectrum in spectra.values())
    if used > budget:
        raise TrainingError(
            f"low_rank.parameters: must leave room for rank 1 in every layer, which needs {used:,} parameters, got "
            f"{share:g}, {budget:,} parameters; raise it"
        )
    gains = [
        (float(energy) / spectrum.per_rank, name)
        for name, spectrum in spectra.items()
        for energy in spectrum.energies[1:]
    ]
    for _, name in sorted(gains, key=lambda gain: -gain[0]):  # within a layer the energies fall
        spectrum, rank = spectra[name], ranks[name]
        added = _cost(spectrum, rank + 1) - _cost(spectrum, rank)
        if used + added <= budget:
            used += added
            ranks[name] = rank + 1
    return {name: rank for name, rank in ranks.items() if rank <= spectra[name].largest_rank}


def _cost(spectrum: Spectrum, rank: int) -> int:
    """Return a layer's parameters. With a rank that saves nothing, it stays as it is."""
    return spectrum.current if rank > spectrum.largest_rank else rank * spectrum.per_rank
