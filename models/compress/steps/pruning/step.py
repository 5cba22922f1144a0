"""The step ``prune``: layers first, then heads, then hidden units, then single weights, then the tuning."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from models.architectures.base import Architecture
from models.compress.steps.base import Model, Outcome, Work
from models.compress.steps.child import golden_inputs, write_module
from models.compress.steps.losses import label_loss
from models.compress.steps.modules import loaded, parameters_of, rebuilt
from models.compress.steps.pruning.importance import by_loss, by_magnitude
from models.compress.steps.pruning.options import PruneOptions
from models.compress.steps.pruning.single_weights import Scope, share_of_zeros, zero_smallest
from models.compress.steps.pruning.units import UnitKind, keep, units_of
from models.compress.steps.pruning.whole_layers import number_to_remove, without_layers
from models.compress.steps.tuning.fitting import tune
from models.errors import TrainingError
from models.training.scoring import score_ndcg

Row = Mapping[str, Any]
_DEFAULTS: Mapping[UnitKind, Literal["taylor", "magnitude"]] = {"heads": "magnitude", "hidden": "taylor"}
"""Half of the walks ranker's heads cost 1.0% of NDCG@10 by magnitude, and 3.1% by the loss. Half of its hidden units
cost 0.9% by magnitude, and 0.03% by the loss. Both without tuning, on 1,500 lists."""


def prune(options: PruneOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write the pruned child at ``root``.

    Raises:
        TrainingError: the options do not fit the parent, or its weights cannot be used.
    """
    original = loaded(parent, "prune")
    shares = _shares(options, original)
    facts: dict[str, Any] = {"parent_parameters": parameters_of(original)}
    tables: dict[str, list[Row]] = {}
    module = original
    if options.layers:
        module = _without_layers(options, module, parent, work, facts, tables)
    module = copy.deepcopy(module)
    for kind, share in shares.items():
        tables[f"Pruned {kind}"] = _without_units(kind, share, options, module, parent, work)
    module = rebuilt(module)
    if options.unstructured:
        facts["zeros"] = round(_with_zeros(module, options.unstructured, options.scope), 4)
    facts["parameters"] = parameters_of(module)
    if options.tune is not None:
        facts["tuning"] = tune(module, options.tune, work, parent.artifact.signature)
    write_module(module, root, parent, options, golden_inputs(parent), facts)
    return Outcome(facts, tables)


def _shares(options: PruneOptions, module: Architecture) -> dict[UnitKind, float]:
    """Return the shares of units to remove by kind.

    Raises:
        TrainingError: the module has no such units.
    """
    chosen: dict[UnitKind, float | None] = {"heads": options.heads, "hidden": options.hidden}
    if options.names_nothing:
        return {"heads": 0.5} if units_of(module, "heads") else {"hidden": 0.5}
    shares = {kind: share for kind, share in chosen.items() if share}
    for kind, share in shares.items():
        if not units_of(module, kind):
            name = getattr(module.options, "name", type(module).__name__)
            raise TrainingError(
                f"prune.{kind}: {name} has no {kind} that can be pruned, got {share:g}; remove the option"
            )
    return shares


def _with_zeros(module: Architecture, share: float, scope: Scope) -> float:
    """Set the smallest weights to zero, in place. Return the share of zeros.

    Raises:
        TrainingError: no weight changes, because the share is too small, or the model has as many zeros already.
    """
    before = share_of_zeros(module)
    zero_smallest(module, share, scope)
    after = share_of_zeros(module)
    if after == before:
        raise TrainingError(
            f"prune.unstructured: must set another weight to zero, but {before:.2%} of the weights are zeros already, "
            f"got {share:g}; raise it, or remove the option"
        )
    return after


def _without_layers(
    options: PruneOptions,
    module: Architecture,
    parent: Model,
    work: Work,
    facts: dict[str, Any],
    tables: dict[str, list[Row]],
) -> Architecture:
    number = number_to_remove(module, options.layers or 0)
    lists = work.data.lists("select", parent.artifact.signature, options.lists)
    done = 0

    def quality(choice: Architecture) -> float:
        nonlocal done
        done += 1
        work.progress("choosing layers", done, done)
        return score_ndcg(choice, lists)

    smaller, removed, rows = without_layers(module, number, quality)
    facts["removed_layers"] = sorted(removed)
    tables["Layers"] = [*rows]
    return smaller


def _without_units(
    kind: UnitKind, share: float, options: PruneOptions, module: Architecture, parent: Model, work: Work
) -> list[Row]:
    """Remove the least important units of each layer, in place. Return a row for each layer.

    Raises:
        TrainingError: the share is too small to remove a unit anywhere.
    """
    groups = units_of(module, kind)
    counts = [units.count(module) for units in groups]
    removed = [min(count - 1, int(share * count + 1e-9)) for count in counts]
    if not any(removed):
        raise TrainingError(
            f"prune.{kind}: must remove at least one of {max(counts)} {kind} of a layer and leave one, got {share:g}; "
            f"raise it, or remove the option"
        )
    if (options.importance or _DEFAULTS[kind]) == "taylor":
        lists = work.data.lists("train", parent.artifact.signature, options.lists)
        loss = "softmax" if options.tune is None else options.tune.loss
        importances = by_loss(module, groups, lists, label_loss(loss))
    else:
        importances = by_magnitude(module, groups)
    rows: list[Row] = []
    for units, count, gone, importance in zip(groups, counts, removed, importances, strict=True):
        kept = importance.argsort(stable=True)[gone:].sort().values
        keep(module, units, kept)
        lost = float(importance.sum() - importance[kept].sum()) / max(float(importance.sum()), 1e-30)
        rows.append(
            {"layer": units.where, "before": count, "after": len(kept), "importance_lost": round(lost, 4)}
        )
    return rows
