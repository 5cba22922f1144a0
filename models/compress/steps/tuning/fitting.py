"""Fine-tuning of a compressed module, on the labels or on the original's scores."""

from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from models.architectures.base import Architecture
from models.compress.steps.base import Split, Work
from models.compress.steps.losses import label_loss, of_any_layout
from models.compress.steps.pruning.single_weights import hold_zeros
from models.compress.steps.tuning.options import TuneConfig
from models.signature import Signature
from models.training.checkpoint import TrainingCheckpoint
from models.training.examples.lists import Lists
from models.training.loop import fit
from models.training.losses import distillation_loss


def tune(module: Architecture, config: TuneConfig, work: Work, signature: Signature) -> dict[str, Any]:
    """Tune a module in place. It keeps its weights if no others are better on the selection lists.

    The zeros of pruned matrices stay zeros. A killed tuning continues from its checkpoint.

    Args:
        module: the compressed module.
        config: the options.
        work: the lists, and the folder for checkpoints.
        signature: the module's signature.

    Returns:
        What was done, for the report.

    Raises:
        TrainingError: there are too few lists, or the loss is not finite.
    """
    torch.set_num_threads(work.threads)
    torch.manual_seed(work.seed)
    train, select = (_lists(work, config, split, signature) for split in ("train", "select"))
    if config.learn_from == "original":
        loss_of = of_any_layout(
            partial(distillation_loss, temperature=config.temperature, label_weight=config.label_weight)
        )
    else:
        loss_of = label_loss(config.loss)
    hold_zeros(module)
    fitted = fit(
        module,
        train,
        select,
        config,
        loss_of=loss_of,
        seed=work.seed,
        what="tuning",
        progress=work.progress,
        accelerator=Accelerator(),
        checkpoint=TrainingCheckpoint(work.scratch / "tuning", work.key),
    )
    module.cpu().eval()
    return {
        "steps": fitted.steps,
        "lists": len(train),
        "selection_ndcg_at_10": round(fitted.selection_ndcg, 6),
    }


def _lists(work: Work, config: TuneConfig, split: Split, signature: Signature) -> Lists:
    limit = config.max_lists if split == "train" else None
    if config.learn_from == "original" and split == "train":
        return work.data.taught(work.original, split, signature, limit)
    return work.data.lists(split, signature, limit)
