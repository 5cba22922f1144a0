"""The step ``low_rank``: measures the inputs, chooses the ranks, factorises, and tunes."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.architectures.resizing import LowRank, parts_of
from models.compress.steps.base import Model, Outcome, Work
from models.compress.steps.child import golden_inputs, write_module
from models.compress.steps.factorization.inputs import second_moments
from models.compress.steps.factorization.options import LowRankOptions
from models.compress.steps.factorization.ranks import ranks_by_budget, ranks_by_energy
from models.compress.steps.factorization.spectra import Spectrum, factors_of, spectrum_of
from models.compress.steps.modules import linears_of, loaded, parameters_of, rebuilt
from models.compress.steps.tuning.fitting import tune
from models.errors import TrainingError

_ENERGY = 0.95


def factorise(options: LowRankOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the factorised child at ``root``.

    Raises:
        TrainingError: no layer gets smaller, or the parent's weights cannot be used.
    """
    original = loaded(parent, "low_rank")
    signature = parent.artifact.signature
    moments: Mapping[str, torch.Tensor] = {}
    if options.weighted:
        moments = second_moments(original, work.data.lists("train", signature, options.lists))
    spectra = {name: spectrum_of(layer, moments.get(name)) for name, layer in linears_of(original).items()}
    spectra = {name: spectrum for name, spectrum in spectra.items() if spectrum.largest_rank}
    if not spectra:
        raise TrainingError(
            f"low_rank: no linear layer of {parent.artifact.name} can get smaller by a product; remove the step"
        )
    ranks = (
        ranks_by_energy(spectra, options.energy or _ENERGY)
        if options.parameters is None
        else ranks_by_budget(spectra, options.parameters)
    )
    if not ranks:
        raise TrainingError(
            f"low_rank.energy: must make at least one layer smaller, got {options.energy or _ENERGY:g}; lower it, or "
            f"remove the step"
        )
    module = copy.deepcopy(original)
    for name, rank in ranks.items():
        _replace(module, name, rank, moments.get(name))  # one at a time, because factors are in 64 bits
    module = rebuilt(module)
    facts: dict[str, Any] = {
        "parent_parameters": parameters_of(original),
        "parameters": parameters_of(module),
        "ranks": ranks,
    }
    if options.tune is not None:
        facts["tuning"] = tune(module, options.tune, work, signature)
    write_module(module, root, parent, options, golden_inputs(parent), facts)
    return Outcome(facts, {"Ranks": [_row(name, spectra[name], ranks.get(name)) for name in spectra]})


def _replace(module: torch.nn.Module, name: str, rank: int, moments: torch.Tensor | None) -> None:
    old = module.get_submodule(name)
    assert isinstance(old, torch.nn.Linear | LowRank)
    bias = parts_of(old)[1].bias
    first, second = factors_of(old, rank, moments)
    new = LowRank(first.shape[1], len(second), rank, bias=bias is not None)
    with torch.no_grad():
        new.first.weight.copy_(first)
        new.second.weight.copy_(second)
        if bias is not None:
            new.second.bias.copy_(bias)
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)


def _row(name: str, spectrum: Spectrum, rank: int | None) -> dict[str, Any]:
    kept = 1.0 if rank is None else float(spectrum.energies[:rank].sum())
    return {
        "layer": name,
        "outputs": spectrum.outputs,
        "inputs": spectrum.inputs,
        "rank": "whole" if rank is None else rank,
        "energy": round(kept, 4),
        "parameters_before": spectrum.current,
        "parameters_after": spectrum.current if rank is None else rank * spectrum.per_rank,
    }
