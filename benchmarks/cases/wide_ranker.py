"""A wide ranker with random weights, for benchmarks of pipelines whose model takes nearly all of the time."""

from pathlib import Path

from models.artifact import Artifact, write_artifact
from models.training.export import ONNX, weight_writer

WIDE = {"width": 256, "heads": 8, "layers": 6, "hidden": 1024}


def write_wide_ranker(root: Path, artifact: Artifact) -> None:
    """Write a wider and deeper ranker that reads the artifact's inputs. It is a folder at ``root``."""
    import torch

    from models.architectures import build_architecture

    torch.manual_seed(0)
    module = build_architecture({**artifact.architecture, **WIDE}).eval()
    write_artifact(
        root,
        name="wide",
        signature=artifact.signature,
        weights=ONNX,
        write_files=weight_writer(module, artifact.signature),
        architecture=module.options.model_dump(mode="json"),
    )
