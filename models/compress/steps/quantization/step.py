"""Runs the step ``quantize``: reads the parent's graph, changes it, and writes the child."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import GOLDEN
from models.compress.steps.base import Model, Outcome, StepKind, Work
from models.compress.steps.child import golden_inputs, write_child
from models.compress.steps.quantization.options import QuantizeOptions
from models.errors import ModelError, TrainingError
from models.extras import require
from models.signature import Inputs


def run(options: QuantizeOptions, parent: Model, root: Path, work: Work) -> Outcome:
    """Write a child whose graph has quantised weights.

    The child has no weights for PyTorch, because the parent's would differ from its graph. So it names no architecture.

    Raises:
        TrainingError: the parent has no graph, or nothing in it can be quantised.
        ArtifactError: the graph cannot be read, or its opset is too old.
    """
    require(["onnx"], "train")
    from models.compress.steps.quantization.change import change

    model, facts, tables = parent, dict[str, Any](), dict[str, Any]()
    if options.moq is not None:
        from models.compress.steps.quantization.moq.tuning import TITLE, tuned_model

        model, facts["tuning"], tables[TITLE] = tuned_model(options, parent, work)
    source = graph_of(model)
    graph, changed = change(options, source, model, work)
    outcome = Outcome({**facts, **changed.facts}, {**tables, **changed.tables})
    golden = golden_inputs(parent)

    def write(staging: Path) -> None:
        graph.save(staging / source.name)
        for name in _kept(parent, source.name):
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parent.root / name, staging / name)
        if golden is not None:
            _write_golden(staging, source.name, parent, golden)

    write_child(
        root,
        parent,
        options,
        weights=source.name,
        write_files=write,
        architecture={},
        facts=outcome.facts,
        runtime=options.runtime or parent.artifact.lineage.get("compression", {}).get("runtime"),
    )
    return outcome


def graph_of(parent: Model) -> Path:
    """Return the path of a model's ONNX graph.

    Raises:
        TrainingError: it has none.
    """
    artifact = parent.artifact
    name = next((each for each in (artifact.weights, *artifact.files) if each.endswith(".onnx")), None)
    if name is None:
        raise TrainingError(
            f"quantize: requires an ONNX graph, but {artifact.name} at {parent.root} has only {artifact.weights}; "
            f"export the model to ONNX, or leave out the step"
        )
    return parent.root / name


def _kept(parent: Model, graph: str) -> list[str]:
    """Return the parent's files that the child needs too, such as a tokenizer."""
    left_out = (GOLDEN, graph, f"{graph}.data")
    return [
        name
        for name in parent.artifact.files
        if name not in left_out and not name.endswith((".safetensors", ".onnx", ".data"))
    ]


def _write_golden(staging: Path, graph: str, parent: Model, inputs: Inputs) -> None:
    """Write the golden requests with the child's own scores, from ONNX Runtime.

    Raises:
        TrainingError: the child cannot be executed, or a score is NaN or infinite.
    """
    from models.runtimes.golden import write_golden
    from models.runtimes.onnx import OnnxRuntime

    artifact = parent.artifact
    try:
        outputs = OnnxRuntime(staging / graph, artifact.signature).run(inputs)
    except ModelError as error:
        raise TrainingError(f"quantize: the quantised {artifact.name} cannot be executed: {error}") from error
    for name, scores in outputs.items():
        if not np.isfinite(scores).all():
            raise TrainingError(
                f"quantize: output {name} of the quantised {artifact.name} is NaN or infinite on the golden requests; "
                f"use another mode, or train the model again"
            )
    write_golden(staging, inputs, outputs)


STEP = StepKind(config=QuantizeOptions, run=run)
