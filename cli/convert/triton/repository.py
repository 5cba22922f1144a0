"""Read a Triton model repository: an ensemble or a single model, and all models of its steps."""

from pathlib import Path

from cli.convert.draft import Draft, inputs_note, sentences
from cli.convert.triton.models import Model, read_models
from cli.convert.triton.scheduling import convert_scheduling
from cli.convert.triton.steps import Step, ordered_steps
from cli.convert.triton.tensors import Tensors
from services.errors import ConfigError

_EXPORT = {
    "onnxruntime": "make an artifact from {weights}",
    "tensorrt": "{weights} runs on one type of GPU only. Export the original model to ONNX",
    "pytorch": "export the model behind {weights} to ONNX with torch.onnx.export",
    "tensorflow": "convert {weights} to ONNX with tf2onnx",
    "openvino": "export the model behind {weights} to ONNX",
    "python": "export the model inside {weights} to ONNX, or write it as a runtime of kind python",
    "fil": "make an artifact from the trees in {weights}",
}


def read_triton(source: Path, *, name: str, model: str | None) -> Draft:
    """Read a model repository.

    Args:
        source: the folder.
        name: name of the pipeline.
        model: the ensemble or model to serve. None: the only ensemble, or the only model.

    Raises:
        ConfigError: the folder cannot be read, or it has several ensembles and none was chosen.
    """
    models = read_models(source)
    served = _chosen(models, model, source)
    draft = Draft(name)
    steps = ordered_steps(served, models)
    flat = [step for step in steps if not step.model.is_ensemble]
    if not flat:
        raise ConfigError(
            f"{served.config.file}: expected models as steps, got ensembles only; choose with --model"
        )
    # Without any model the last code is one, such as a model of PyTorch inside model.py.
    scoring = [step for step in flat if not step.model.is_code] or flat[-1:]
    _stages(draft, served, steps, scoring)
    if served.is_ensemble:
        ensemble = served.config.section("ensemble_scheduling")
        ensemble.get("step")
        for key in ensemble.unread():
            note = (
                "units.main.max_ongoing_requests bounds the requests of a replica, with 4096 if it is not set"
            )
            draft.none(f"{served.name}.ensemble_scheduling.{key}", note)
        convert_scheduling(draft, served, leads=False)
    models_of_steps = {step.model.name: step.model for step in steps}
    for each in models_of_steps.values():
        convert_scheduling(draft, each, leads=each is scoring[0].model)
    used = {served.name, *models_of_steps}
    for other in models.values():
        if other.name not in used:
            draft.decide(other.name, "", f"{served.name} does not use it. Convert it on its own with --model")
    return draft


def _chosen(models: dict[str, Model], wanted: str | None, source: Path) -> Model:
    if wanted is not None:
        if wanted not in models:
            raise ConfigError(f"{source}: no such model, got {wanted!r}; name one of {', '.join(models)}")
        return models[wanted]
    ensembles = [model for model in models.values() if model.is_ensemble]
    found = ensembles or list(models.values())
    if len(found) > 1:
        names = ", ".join(model.name for model in found)
        raise ConfigError(f"{source}: expected one ensemble or one model, got {names}; choose with --model")
    return found[0]


def _stages(draft: Draft, served: Model, steps: list[Step], scoring: list[Step]) -> None:
    tensors = Tensors(draft, served.inputs)
    seen = 0
    for step in steps:
        place = f"step {step.model.name}" if served.is_ensemble else step.model.name
        if step not in scoring:
            _code(draft, step, place, seen)
            tensors.computed(step)
            continue
        inputs = tensors.sources(step)
        seen += 1
        if seen == 1:
            _model(draft, "ranker", step, place, inputs, "")
            tensors.scored(step, "candidate.score")
        elif seen == len(scoring):
            joined = (
                f"if {scoring[0].model.name} only computes an input of {step.model.name}, join both graphs into one "
                "ranker and remove the reranker"
            )
            _model(draft, "reranker", step, place, inputs, joined)
            draft.set("reranker.best", 50, decide="the number of best candidates that the reranker reads")
            tensors.scored(step, "candidate.score")
        else:
            draft.decide(
                place,
                "stages",
                "a pipeline has two models. Join this graph with the one before or after it, or write a stage",
            )
            tensors.computed(step)
    tensors.leftover()


def _model(draft: Draft, role: str, step: Step, place: str, inputs: list[str], more: str) -> None:
    weights = step.model.weights(step.version)
    known = _EXPORT.get(step.model.backend, "make an artifact in ONNX from {weights}")
    text = sentences(known.format(weights=weights), more)
    artifact = draft.model(role, step.model.name, place, decide=text, note=inputs_note(inputs))
    outputs = list(step.writes) or [tensor.name for tensor in step.model.outputs]
    if outputs:
        several = f"one of {', '.join(outputs)}: the output that is the score" if len(outputs) > 1 else ""
        draft.set(f"{role}.output", outputs[0], f"{place}.output_map", decide=several)
    draft.decide(place, f"{role}.model: {artifact}", text)


def _code(draft: Draft, step: Step, place: str, models_before: int) -> None:
    if step.model.is_ensemble:
        draft.decide(place, "", "an ensemble inside an ensemble. Convert it on its own with --model")
        return
    where = "ranker" if models_before else "features"
    draft.decide(
        place,
        "stages",
        f"code of yours ({step.model.backend}). Write it as a stage after the {where}, or as a transform, an "
        f"aggregate or a rule of Rankway's",
    )
