"""Import weights in safetensors for one of Rankway's own architectures, trained with a loop of one's own."""

import json
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from models.artifact import sha256_of, write_artifact
from models.errors import ArtifactError, ModelError, SignatureError
from models.extras import require
from models.importing.target import Imported, Target, assembled

_METADATA = "architecture"


def read_options(path: Path) -> dict[str, Any]:
    """Read an architecture's options from YAML or JSON: the options, or an artifact.yaml with a part `architecture`.

    Raises:
        ArtifactError: the file cannot be read, or is no mapping.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArtifactError(f"--architecture: {path} cannot be read: {error}; name a YAML file") from error
    options = document.get("architecture", document) if isinstance(document, dict) else None
    if not isinstance(options, dict) or not options:
        raise ArtifactError(
            f"--architecture: {path} has no options; write the part `architecture` of an artifact.yaml"
        )
    return options


def import_weights(source: Path, root: Path, target: Target, options: dict[str, Any] | None) -> Imported:
    """Write an artifact for weights of an architecture, with its ONNX graph and golden requests.

    Args:
        source: the safetensors file.
        root: the artifact's folder. An existing artifact is replaced, if everything succeeds.
        target: the pipeline.
        options: the architecture's options. None: as JSON in the file's metadata, under "architecture".

    Raises:
        ArtifactError: the file is damaged, has no options, or its tensors are not those of the architecture.
        SignatureError: the architecture reads a feature that the pipeline does not have.
        MissingPackage: a package of the extra train is not installed.
    """
    require(["torch", "onnx"], "train")
    from safetensors.torch import load_file

    from models.architectures import build_architecture
    from models.training.export import ONNX, weight_writer

    options = options or _options_in(source)
    try:
        module = build_architecture(options)
        module.load_state_dict(load_file(source))
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{source}: cannot be read: {error}; save the weights again") from error
    except ModelError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"{source}: does not fit the architecture: {' '.join(str(error).split())[:600]}; correct the options, or "
            f"save the state_dict of this architecture"
        ) from error
    module.eval()
    signature = module.signature(target.definitions.content_hash)
    if target.output not in {spec.name for spec in signature.outputs}:
        raise SignatureError(
            f"output: the pipeline reads {target.output!r}, the architecture has {signature.outputs[0].name!r}; "
            f"set it in the pipeline"
        )
    artifact = write_artifact(
        root,
        name=target.name,
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature, assembled(signature, target)),
        architecture=options,
        lineage={"source": source.name, "sha256": sha256_of(source), "format": "safetensors"},
    )
    return Imported(artifact, tuple(f"{spec.name}: {spec.source}" for spec in signature.inputs), None)


def _options_in(source: Path) -> dict[str, Any]:
    try:
        with safe_open(source, framework="numpy") as file:
            text = (file.metadata() or {}).get(_METADATA)
        options = None if text is None else json.loads(text)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{source}: cannot be read: {error}; save the weights again") from error
    if not isinstance(options, dict):
        raise ArtifactError(
            f"{source}: the file does not name its architecture; name a file of options with --architecture"
        )
    return options
