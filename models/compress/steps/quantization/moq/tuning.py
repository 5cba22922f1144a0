"""Tunes a model with rounded weights, before they are quantised."""

from typing import Any

import torch
from torch import nn

from models.compress.rows import Table
from models.compress.steps.base import Model, Work
from models.compress.steps.child import golden_inputs, write_module
from models.compress.steps.modules import loaded
from models.compress.steps.pruning.single_weights import hold_zeros
from models.compress.steps.quantization.layers.weight_codec import weight_bits
from models.compress.steps.quantization.moq.rounding import Rounded, round_weights, stop_rounding
from models.compress.steps.quantization.moq.schedule import periods_of
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.quantization.sensitivity.choice import FEW_LISTS
from models.compress.steps.quantization.sensitivity.curvature import eigenvalues_of, required_module
from models.compress.steps.tuning.fitting import tune

TITLE = "Falling bits"


def tuned_model(options: QuantizeOptions, parent: Model, work: Work) -> tuple[Model, dict[str, Any], Table]:
    """Write a tuned float32 model into the scratch folder. Return it, the facts, and a row for each linear layer.

    Args:
        options: the step's options, with ``moq``.
        parent: a model with a module.
        work: the lists.

    Raises:
        TrainingError: the parent has no module, or cannot be trained on these lists.
    """
    config, signature = options.moq, parent.artifact.signature
    assert config is not None
    required_module(parent, "moq")
    module = loaded(parent, "quantize")
    linears = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    lists = work.data.lists("train", signature, options.sensitivity_lists or FEW_LISTS)
    weights = {name: linear.weight for name, linear in linears.items()}
    values = list(eigenvalues_of(module, weights, lists, work).values())
    hold_zeros(module)
    target = weight_bits(options.reduce_range)
    roundings = [
        Rounded(config.start_bits, target, period, per_channel=options.per_channel)
        for period in periods_of(values, config.period)
    ]
    for linear, rounding in zip(linears.values(), roundings, strict=True):
        round_weights(linear, rounding)
    counter = module.register_forward_pre_hook(lambda each, _: _count(each, roundings))
    facts = tune(
        module.train(), config, work, signature
    )  # a continued tuning does not begin with an evaluation
    counter.remove()
    for linear in linears.values():
        stop_rounding(linear)
    rows = [
        {"layer": name, "eigenvalue": value, "period": each.period, "bits_of_best_weights": each.bits}
        for name, value, each in zip(linears, values, roundings, strict=True)
    ]
    root = work.scratch / "rounded"
    artifact = write_module(module, root, parent, options, golden_inputs(parent))
    return Model(root, artifact), facts, rows


def _count(module: nn.Module, roundings: list[Rounded]) -> None:
    if module.training and torch.is_grad_enabled():
        for rounding in roundings:
            rounding.steps += 1
