"""More releases of the small pipeline: the same ranker with an offset on every score."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import onnx
from onnx import helper

from models.artifact import Artifact, write_artifact
from services.config.pipeline import PipelineConfig
from services.releases.live import LiveReleases
from services.releases.release import LiveRelease, Release
from services.releases.staging import ReleaseFolder
from services.releases.steps import Steps
from tests.pipelines import write_model


def write_shifted(root: Path, offset: float) -> None:
    """Write the small ranker with ``offset`` added to its scores. With NaN, all its scores are NaN."""
    write_model(root)
    artifact = Artifact.load(root)
    model = onnx.load(str(root / "model.onnx"))
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.append(helper.make_node("Constant", [], ["offset_by"], value_float=offset))
    model.graph.node.append(helper.make_node("Add", ["plain", "offset_by"], ["score"]))
    write_artifact(
        root,
        name=artifact.name,
        signature=artifact.signature,
        weights="model.onnx",
        write_files=lambda staging: onnx.save(model, str(staging / "model.onnx")),
    )


def stage_shifted(config: PipelineConfig, home: Path, offset: float) -> str:
    """Stage the small pipeline with a shifted ranker. Return the release's name."""
    write_shifted(home / config.models["ranker"].artifact, offset)
    return ReleaseFolder(home, config.name).stage(config).name


@dataclass(eq=False)
class Named:
    """The release parts that live releases need. Tests hold weak references to see that a release is freed."""

    name: str

    def retire(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def live_of(name: str, home: Path = Path("/nowhere")) -> LiveReleases:
    """Return live releases with one of this name. They load any release that its folder has."""
    config = cast(PipelineConfig, SimpleNamespace(name="small", trust=()))

    def load(_config: PipelineConfig) -> Steps[LiveRelease]:
        yield
        return LiveRelease(cast(Release, Named(name)), [])

    return LiveReleases(config, home, load)
