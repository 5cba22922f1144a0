"""Fits a student's module to its teacher's scores."""

from functools import partial

import torch
from accelerate import Accelerator

from models.architectures.base import Architecture
from models.compress.steps.base import Model, Work
from models.compress.steps.child import golden_inputs
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.losses import of_any_layout
from models.runtimes.golden import golden_batch
from models.signature import Inputs, Signature
from models.training.checkpoint import TrainingCheckpoint
from models.training.loop import Fitted, fit
from models.training.losses import distillation_loss
from models.training.standardising import standardise


def teach(
    module: Architecture,
    teacher: Model,
    options: DistilOptions,
    signature: Signature,
    work: Work,
    *,
    is_new: bool,
) -> Fitted:
    """Fit a student to the order of its teacher, in place.

    The loss compares both models' softmax over each list (see ``distillation_loss``). The weights with the best
    NDCG@10 on the selection lists are kept. A killed training continues from its checkpoint.

    Args:
        module: the student.
        teacher: the model whose scores it learns.
        options: the step's options.
        signature: the student's signature.
        work: the lists, and the folder for checkpoints.
        is_new: whether to fit the encoders' constants first. A student with its parent's weights has them.

    Raises:
        TrainingError: there are too few lists, or the loss is not finite.
    """
    torch.set_num_threads(work.threads)
    train = work.data.taught(teacher, "train", signature, options.fit.max_lists)
    select = work.data.lists("select", signature)
    if is_new:
        standardise(module, train, work.seed)
    fitted = fit(
        module,
        train,
        select,
        options.fit,
        loss_of=of_any_layout(
            partial(distillation_loss, temperature=options.temperature, label_weight=options.label_weight)
        ),
        seed=work.seed,
        what="student",
        progress=work.progress,
        accelerator=Accelerator(),
        checkpoint=TrainingCheckpoint(work.scratch / "student", work.key),
    )
    module.cpu().eval()
    return fitted


def golden_of(parent: Model, signature: Signature, work: Work) -> Inputs:
    """Return inputs of golden requests: the parent's if the student reads no others, else selection lists."""
    known, names = golden_inputs(parent), [spec.name for spec in signature.inputs]
    if known is not None and all(name in known for name in names):
        return {name: known[name] for name in names}
    select = work.data.lists("select", signature, limit=8)
    return select.assembler(golden_batch(select.batch))
