"""Spectra: all factors together are the matrix, and weighted factors err least where the inputs are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.resizing import LowRank
from models.compress.steps.factorization.spectra import factors_of, matrix_of, spectrum_of


def moments_of(inputs: int) -> torch.Tensor:
    x = torch.randn(200, inputs, dtype=torch.float64) * torch.linspace(0.01, 3.0, inputs, dtype=torch.float64)
    return x.T @ x / len(x)


@given(inputs=st.integers(1, 12), outputs=st.integers(1, 12), weighted=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_full_rank_gives_the_matrix(inputs: int, outputs: int, weighted: bool) -> None:
    torch.manual_seed(inputs * 20 + outputs)
    layer = torch.nn.Linear(inputs, outputs)
    moments = moments_of(inputs) if weighted else None
    spectrum = spectrum_of(layer, moments)
    first, second = factors_of(layer, len(spectrum.values), moments)
    torch.testing.assert_close(second @ first, matrix_of(layer), atol=1e-6, rtol=1e-6)
    assert float(spectrum.energies.sum()) == pytest.approx(1.0)


def test_weighted_factors_have_the_smaller_error_on_the_inputs() -> None:
    torch.manual_seed(1)
    layer, moments = torch.nn.Linear(12, 10), moments_of(12)
    matrix = matrix_of(layer)

    def error(weighted: bool) -> float:
        first, second = factors_of(layer, 4, moments if weighted else None)
        missing = matrix - second @ first
        return float((missing @ moments @ missing.T).trace())

    spectrum = spectrum_of(layer, moments)
    assert error(True) < 0.7 * error(False)
    assert error(True) == pytest.approx(float(spectrum.values[4:].square().sum()), rel=1e-3)


def test_inputs_that_are_always_zero_keep_the_weights_finite() -> None:
    moments = moments_of(6)
    moments[2] = moments[:, 2] = 0.0
    first, second = factors_of(torch.nn.Linear(6, 5), 2, moments)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()


def test_a_spectrum_has_no_matrices() -> None:
    spectrum = spectrum_of(torch.nn.Linear(6, 5), moments_of(6))
    tensors = [
        value for name in spectrum.__slots__ if isinstance(value := getattr(spectrum, name), torch.Tensor)
    ]
    assert [tensor.shape for tensor in tensors] == [(5,)]


def test_a_matrix_of_zeros_has_no_energy() -> None:
    layer = torch.nn.Linear(6, 5)
    torch.nn.init.zeros_(layer.weight)
    assert not spectrum_of(layer).energies.any()


def test_a_factorised_layer_counts_both_of_its_matrices() -> None:
    layer = LowRank(10, 8, 3, bias=True)
    spectrum = spectrum_of(layer)
    assert spectrum.current == 54
    assert spectrum.largest_rank == 2
    assert int((spectrum.energies > 1e-9).sum()) == 3
