"""The step's descriptor, and its work."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.compress.steps.base import Model, Outcome, StepKind, Work
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.distillation.student_config import ShallowStudent, TreesStudent
from models.compress.steps.distillation.students import student_options

if TYPE_CHECKING:
    from models.architectures.base import Architecture


def run(options: DistilOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Train the student and write it as a child artifact.

    Args:
        options: the step's options.
        parent: the model whose features the student reads.
        root: the child's folder.
        work: the lists, the teacher and the checkpoints.

    Raises:
        TrainingError: the student does not fit the parent, or cannot be trained on these lists.
    """
    if isinstance(options.student, TreesStudent):
        from models.compress.steps.distillation.trees import distil_trees

        return distil_trees(options, options.student, parent, root, work)
    import torch

    from models.compress.steps.child import write_module
    from models.compress.steps.distillation.fitting import golden_of, teach

    torch.manual_seed(work.seed)
    module = _student(options, parent)
    signature = module.signature(parent.artifact.signature.feature_hash)
    teacher = work.original if options.teacher == "original" else parent
    fitted = teach(
        module,
        teacher,
        options,
        signature,
        work,
        is_new=not isinstance(options.student, ShallowStudent),
    )
    facts: dict[str, Any] = {
        "teacher": teacher.artifact.version,
        "steps": fitted.steps,
        "selection_ndcg_at_10": round(fitted.selection_ndcg, 6),
    }
    unread = sorted(parent.artifact.signature.columns - signature.columns)
    if scores := [name for name in unread if name.startswith("candidate.")]:
        facts["not_read"] = scores  # a reranker's student without them knows less than the reranker
    write_module(module, root, parent, options, golden_of(parent, signature, work), facts)
    return Outcome(facts=facts)


def _student(options: DistilOptions, parent: Model) -> "Architecture":
    from models.architectures import build_architecture
    from models.compress.steps.distillation.shallow import with_fewer_layers
    from models.compress.steps.modules import loaded

    if isinstance(options.student, ShallowStudent):
        return with_fewer_layers(loaded(parent, "distil"), options.student.layers)
    assert not isinstance(options.student, TreesStudent), "trees have no module"
    student = student_options(options.student, parent.artifact.architecture)
    return build_architecture(student.model_dump(mode="json"))


STEP = StepKind(config=DistilOptions, run=run)
"""The registry entry of a step."""
