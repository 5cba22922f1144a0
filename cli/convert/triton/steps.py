"""The steps of an ensemble, in the order in which their tensors become ready."""

from dataclasses import dataclass

from cli.convert.triton.models import Model
from services.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Step:
    """One model of an ensemble.

    Attributes:
        version: the model's version, -1 for the newest.
        reads: the ensemble's tensor by the model's input.
        writes: the ensemble's tensor by the model's output.
    """

    model: Model
    version: int
    reads: dict[str, str]
    writes: dict[str, str]


def ordered_steps(ensemble: Model, models: dict[str, Model]) -> list[Step]:
    """Return the steps, each after the steps whose tensors it reads.

    A model that is no ensemble is a single step.

    Raises:
        ConfigError: a step names a model that is not there, or waits for a tensor that no step writes.
    """
    if not ensemble.is_ensemble:
        reads = {tensor.name: tensor.name for tensor in ensemble.inputs}
        return [Step(ensemble, -1, reads, {tensor.name: tensor.name for tensor in ensemble.outputs})]
    waiting = _steps(ensemble, models)
    ready = {tensor.name for tensor in ensemble.inputs}
    ordered: list[Step] = []
    while waiting:
        step = next((step for step in waiting if set(step.reads.values()) <= ready), None)
        if step is None:
            missing = sorted({name for step in waiting for name in step.reads.values()} - ready)
            raise ConfigError(
                f"{ensemble.config.file}: ensemble_scheduling: no input and no finished step writes a tensor that "
                f"{waiting[0].model.name} reads, got {', '.join(missing)}; correct input_map and output_map"
            )
        waiting.remove(step)
        ordered.append(step)
        ready |= set(step.writes.values())
    return ordered


def _steps(ensemble: Model, models: dict[str, Model]) -> list[Step]:
    steps = []
    for section in ensemble.config.section("ensemble_scheduling").sections("step"):
        name = section.text("model_name")
        if name not in models:
            raise section.error(
                "model_name", f"expected a model of the repository, {', '.join(models)}", name
            )
        maps = []
        for key in ("input_map", "output_map"):
            entries = section.sections(key)
            maps.append({entry.text("key"): entry.text("value") for entry in entries})
        steps.append(Step(models[name], section.integer("model_version", -1), *maps))
    if not steps:
        raise ensemble.config.error("ensemble_scheduling", "expected at least one step", None)
    return steps
