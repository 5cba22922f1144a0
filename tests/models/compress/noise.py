"""A step for tests: it adds noise to the weights, and fails, waits or breaks its child if it is told to."""

from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file

from models.architectures import build_architecture
from models.compress.steps.base import Model, Outcome, StepKind, StepOptions, Work
from models.compress.steps.child import golden_inputs, write_module
from models.errors import TrainingError
from models.training.export import SAFETENSORS


class NoiseOptions(StepOptions):
    """Options of the step.

    Attributes:
        scale: standard deviation of the noise.
        outcome: "good" writes a child, "nan" writes one whose scores are NaN, the others raise this error.
        log: a file to which each execution appends a line. Empty: none.
        wait_for: a file until whose existence the step waits, after it has written a checkpoint.
    """

    kind: Literal["noise"] = "noise"
    scale: float = 0.01
    outcome: Literal["good", "nan", "training", "disk", "bug", "exit", "interrupt"] = "good"
    log: str = ""
    wait_for: str = ""


def run(options: NoiseOptions, parent: Model, root: Path, work: Work) -> Outcome:
    checkpoint = work.scratch / "checkpoint"
    resumed = checkpoint.exists() and checkpoint.read_text() == work.key
    if options.log:
        with Path(options.log).open("a") as file:
            file.write(f"{options.scale} {'resumed' if resumed else 'begun'}\n")
    checkpoint.write_text(work.key)
    work.progress("noise", 1, 2)
    while options.wait_for and not Path(options.wait_for).exists():
        work.progress("noise", 1, 2)
    if options.outcome == "training":
        raise TrainingError("noise.scale: must be smaller, got 0.01; lower it")
    if options.outcome == "disk":
        raise OSError(28, "No space left on device")
    if options.outcome == "bug":
        raise ZeroDivisionError("division by zero")
    if options.outcome == "exit":
        raise SystemExit(3)
    if options.outcome == "interrupt":
        raise KeyboardInterrupt
    module = build_architecture(parent.artifact.architecture)
    module.load_state_dict(load_file(parent.root / SAFETENSORS))
    torch.manual_seed(work.seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(options.scale * torch.randn_like(parameter))
            if options.outcome == "nan":
                parameter.mul_(float("nan"))
    facts = {
        "scale": options.scale,
        "parent_lists": len(work.data.lists("select", parent.artifact.signature)),
    }
    golden = None if options.outcome == "nan" else golden_inputs(parent)
    write_module(module, root, parent, options, golden, facts)
    table = [{"tensor": name, "mean": value.mean().item()} for name, value in module.named_parameters()][:3]
    return Outcome(facts, {"Noise": table})


STEP = StepKind(config=NoiseOptions, run=run)
