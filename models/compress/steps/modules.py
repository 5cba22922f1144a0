"""Modules of artifacts: loaded to be compressed, and rebuilt with the sizes that compression left."""

from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.architectures.linear_sizes import LinearSize, Resizable
from models.architectures.resizing import LowRank, parts_of
from models.compress.steps.base import Model
from models.errors import ArtifactError, TrainingError
from models.training.export import SAFETENSORS

if TYPE_CHECKING:
    from pydantic import BaseModel


def loaded(model: Model, step: str) -> Architecture:
    """Return an artifact's module with its weights, ready to run.

    Args:
        model: the artifact.
        step: name of the step that needs the module, for errors.

    Raises:
        TrainingError: the artifact has no module, its weights cannot be read, or one of them is NaN or infinite.
    """
    artifact = model.artifact
    if not artifact.architecture or SAFETENSORS not in artifact.files:
        raise TrainingError(
            f"{step}: the model must have an architecture and {SAFETENSORS}, got only {artifact.weights} in artifact "
            f"{artifact.name} {artifact.version}; do this step before steps that write a graph, such as quantize, and "
            f"leave it out for trees"
        )
    try:
        module = build_architecture(artifact.architecture)
        module.load_state_dict(load_file(model.root / SAFETENSORS))
    except (ArtifactError, SafetensorError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()).removesuffix(".")
        raise TrainingError(
            f"{step}: the weights of artifact {artifact.name} cannot be read: {reason}; copy or train the model again"
        ) from error
    for name, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise TrainingError(
                f"{step}: the weights must be finite, got NaN or infinite values in {name} of artifact "
                f"{artifact.name}; train the model again"
            )
    return module.eval()


def rebuilt(module: Architecture, options: "BaseModel | None" = None) -> Architecture:
    """Return a new module with the same weights, whose options tell the sizes of all linear layers.

    Args:
        module: the module, whose linear layers may have been replaced.
        options: the new module's options. None: the module's own. The sizes of linear layers are added.

    Raises:
        TrainingError: the architecture cannot be built with these options.
    """
    plain = (options or module.options).model_dump(mode="json")
    plain.pop("linears", None)
    try:
        with torch.device("meta"):
            natural = build_architecture(plain)
        sizes = linear_sizes(module, natural)
        resized = {name: size.model_dump(exclude_none=True) for name, size in sizes.items()}
        child = build_architecture({**plain, "linears": resized} if resized else plain)
    except ArtifactError as error:
        raise TrainingError(f"the compressed model cannot be built: {error}; use other options") from error
    child.load_state_dict(module.state_dict())
    return child.eval()


def linear_sizes(module: nn.Module, natural: nn.Module) -> dict[str, LinearSize]:
    """Return the sizes of those linear layers that differ from the layers of the same name in ``natural``."""
    own = dict(module.named_modules())
    sizes = {}
    for name, layer in natural.named_modules():
        if not isinstance(layer, nn.Linear):
            continue
        product = own[name]
        first, second = parts_of(product)
        size = LinearSize(
            inputs=first.in_features if first.in_features != layer.in_features else None,
            outputs=second.out_features if second.out_features != layer.out_features else None,
            rank=first.out_features if isinstance(product, LowRank) else None,
        )
        if size != LinearSize():
            sizes[name] = size
    return sizes


def linears_of(module: nn.Module) -> dict[str, nn.Linear | LowRank]:
    """Return a module's linear layers by dotted name. A factorised layer counts as one."""
    found: dict[str, nn.Linear | LowRank] = {}
    for name, part in module.named_modules():
        if isinstance(part, LowRank) or (
            isinstance(part, nn.Linear) and name.rpartition(".")[0] not in found
        ):
            found[name] = part
    return found


def parameters_of(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def is_resizable(module: Architecture) -> bool:
    """Return whether an artifact can store other sizes of the module's linear layers."""
    return isinstance(module.options, Resizable)
