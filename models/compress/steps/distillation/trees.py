"""Students that are trees: LightGBM fits them to the teacher's order, and they are exported to ONNX."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.base import Model, Outcome, Work
from models.compress.steps.child import write_child
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.distillation.student_config import TreesStudent
from models.compress.steps.distillation.vectors import vector_signature, width_in
from models.errors import TrainingError
from models.extras import require
from models.importing.converted import INPUT, converted, largest_difference
from models.importing.lightgbm import of_text
from models.importing.onnx_graph import ONNX
from models.padding import mask_of, to_lists
from models.runtimes.golden import golden_batch, write_golden
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.trees.files import LIGHTGBM_FILE
from models.signature import Signature
from models.training.examples.lists import Lists
from models.training.metrics import ndcg

Scores = NDArray[np.float32]


def distil_trees(
    options: DistilOptions, student: TreesStudent, parent: Model, root: Path, work: Work
) -> Outcome:
    """Fit trees to the teacher's scores and the labels, and write them as a child artifact.

    Each tree follows the gradient of the loss that other students have (``distillation_loss``), as in LambdaMART
    (Burges 2010, MSR-TR-2010-82).

    Raises:
        MissingPackage: LightGBM or onnx is not installed.
        TrainingError: the parent reads no feature of fixed shape, or ``without`` names another feature.
    """
    require(["lightgbm", "onnx"], "import")
    import lightgbm as lgb

    signature, names = _signature(student, parent, work)
    teacher = work.original if options.teacher == "original" else parent
    train = work.data.taught(teacher, "train", signature, options.fit.max_lists)
    select = work.data.lists("select", signature)
    vectors = select.assembler(select.batch)[INPUT]
    booster = _fitted(options, student, train, select, vectors, names, work)
    text = str(booster.model_to_string(num_iteration=booster.best_iteration))
    original = of_text(text, parent.artifact.name, lgb.__version__)
    output = signature.outputs[0].name
    graph = converted(original, output)
    golden = select.assembler(golden_batch(select.batch))
    has_missing = any(spec.missing == "nan" for spec in (signature.vectors or {}).values())
    facts = {
        "teacher": teacher.artifact.version,
        "trees": booster.best_iteration or booster.num_trees(),
        "largest_difference": largest_difference(
            original, graph, output, golden[INPUT], has_missing=has_missing
        ),
    }

    def write(folder: Path) -> None:
        (folder / ONNX).write_bytes(graph)
        (folder / LIGHTGBM_FILE).write_text(text)  # for runtime.kind: lightgbm
        write_golden(folder, golden, OnnxRuntime(folder / ONNX, signature).run(golden))

    write_child(
        root,
        parent,
        options,
        weights=ONNX,
        write_files=write,
        signature=signature,
        architecture={},
        facts=facts,
    )
    return Outcome(facts=facts)


def _signature(student: TreesStudent, parent: Model, work: Work) -> tuple[Signature, list[str]]:
    own = parent.artifact.signature
    if own.vectors is None:
        return vector_signature(own, student.without, lambda _: 0)
    one = work.data.lists("select", own, 1).batch
    return vector_signature(own, student.without, partial(width_in, batch=one, catalogue=work.data.catalogue))


def slopes(
    scores: Scores, wanted: Scores, present: NDArray[np.bool_], temperature: float
) -> tuple[Scores, Scores]:
    """Return the gradient and the curvature of a listwise loss, both (N,).

    The loss is the cross-entropy between the softmax of the scores and the wanted shares, times the squared
    temperature.

    Args:
        scores: (B, M).
        wanted: (B, M), shares that sum to 1 over a list, or to 0 for a list that does not count.
        present: (B, M).
        temperature: divides the scores before the softmax.
    """
    shares = _shares(np.asarray(scores / temperature, dtype=np.float32), present)
    counts = wanted.sum(axis=1, keepdims=True) > 0
    gradient = np.where(counts, temperature * (shares - wanted), 0.0)
    curvature = np.where(counts, shares * (1.0 - shares), 0.0)
    return gradient[present].astype(np.float32), np.maximum(curvature[present], 1e-6).astype(np.float32)


def _fitted(
    options: DistilOptions,
    student: TreesStudent,
    train: Lists,
    select: Lists,
    vectors: NDArray[np.float32],
    names: list[str],
    work: Work,
) -> Any:
    import lightgbm as lgb

    offsets = train.batch.offsets
    present, labels = mask_of(offsets), to_lists(train.labels, offsets)
    taught = to_lists(train.teacher.astype(np.float32), offsets)
    of_teacher = _shares((taught / options.temperature).astype(np.float32), present)
    of_labels = labels / np.maximum(labels.sum(axis=1, keepdims=True), 1e-6)
    weight = options.label_weight

    def objective(scores: NDArray[np.float64], _: Any) -> tuple[Scores, Scores]:
        lists = to_lists(scores.astype(np.float32), offsets)
        softly = slopes(lists, of_teacher, present, options.temperature)
        sharply = slopes(lists, of_labels, present, 1.0)
        gradient, curvature = (
            (1 - weight) * soft + weight * sharp for soft, sharp in zip(softly, sharply, strict=True)
        )
        return gradient, curvature

    def measure(scores: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
        return "ndcg", ndcg(scores.astype(np.float32), select.labels, select.batch.offsets), True

    def report(state: Any) -> None:
        work.progress(
            "trees", state.iteration + 1, student.trees, f"NDCG@10 {state.evaluation_result_list[0][2]:.4f}"
        )

    data = lgb.Dataset(train.assembler(train.batch)[INPUT], train.labels, feature_name=names)
    settings = {
        "objective": objective,
        "num_leaves": student.leaves,
        "min_data_in_leaf": student.min_rows,
        "learning_rate": student.learning_rate,
        "num_threads": work.threads,
        "seed": work.seed,
        "deterministic": True,
        "force_col_wise": True,
        "metric": "none",
        "min_sum_hessian_in_leaf": 1e-3,
        "verbosity": -1,
    }
    try:
        return lgb.train(
            settings,
            data,
            num_boost_round=student.trees,
            valid_sets=[lgb.Dataset(vectors, select.labels, reference=data)],
            feval=measure,
            callbacks=[lgb.early_stopping(student.patience, verbose=False), report],
        )
    except lgb.basic.LightGBMError as error:
        raise TrainingError(f"student: LightGBM cannot train on these lists: {error}") from error


def _shares(scores: Scores, present: NDArray[np.bool_]) -> Scores:
    masked = np.where(present, scores, -np.inf)
    powers = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
