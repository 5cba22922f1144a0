"""Artifacts of small modules, and packages beside them whose code is not real."""

from pathlib import Path

import yaml

from models.architectures.base import Architecture
from models.artifact import Artifact, sha256_of, write_artifact
from models.runtimes.pytorch.compiled import packages
from models.runtimes.pytorch.compiled.packages import Package
from models.runtimes.pytorch.compiled.target import Target
from models.signature import Inputs
from models.training.export import ONNX, SAFETENSORS, weight_writer

CODE = b"no code"


def write_model(
    root: Path,
    module: Architecture,
    feature_hash: str = "",
    golden: Inputs | None = None,
    *,
    onnx: bool = False,
) -> Artifact:
    """Write a module's weights as an artifact, with an ONNX graph if asked for."""
    signature = module.signature(feature_hash)
    return write_artifact(
        root,
        name="small",
        signature=signature,
        weights=ONNX if onnx else SAFETENSORS,
        write_files=weight_writer(module, signature, golden, onnx=onnx),
        architecture=module.options.model_dump(mode="json"),
    )


def write_package(root: Path, artifact: Artifact, target: Target) -> Path:
    """Write a package for a target. PyTorch cannot load its code."""
    folder = packages.folder_of(root, artifact, target)
    folder.mkdir(parents=True)
    for name in (packages.CODE, packages.CONSTANTS):
        (folder / name).write_bytes(CODE)
    package = Package(
        artifact=artifact.version,
        target=target,
        compiler="g++ 12",
        files={name: sha256_of(folder / name) for name in (packages.CODE, packages.CONSTANTS)},
    )
    (folder / packages.MANIFEST).write_text(yaml.safe_dump(package.model_dump(mode="json")))
    return folder
