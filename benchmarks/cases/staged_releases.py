"""Two releases to swap between, with the same models in different artifacts."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cases.workloads import Workload
from models.artifact import MANIFEST, Artifact, write_artifact
from services.config.loading import load_config
from services.paths import home_directory
from services.releases.staging import ReleaseFolder


def stage_two(workload: Workload, home: Path, *, all_changed: bool = False) -> tuple[Path, list[str]]:
    """Stage the workload twice, the second time with its ranker, or everything, copied as other artifacts.

    The service starts with the second release, so the first swap really changes something.

    Args:
        workload: the pipeline.
        home: a temporary home for the releases.
        all_changed: copy all models and the catalogue, not only the ranker.

    Returns:
        The configuration's path and both releases' names.
    """
    data = _over(workload.pipeline().model_dump(mode="json"), home_directory())
    config = home / "pipeline.yaml"
    changed = list(data["models"]) if all_changed else [data["ranker"]["model"]]
    names = []
    for copy in (False, True):
        if copy:
            for model in changed:
                _copy_artifact(Path(data["models"][model]["artifact"]), home / model)
                data["models"][model]["artifact"] = str(home / model)
            if all_changed:
                shutil.copytree(data["catalogue"], home / "catalogue")
                data["catalogue"] = str(home / "catalogue")
        config.write_text(yaml.safe_dump(data, sort_keys=False))
        pipeline = load_config(config)
        names.append(ReleaseFolder(home, pipeline.name).stage(pipeline).name)
    ReleaseFolder(home, data["name"]).history.note_active(names[1])
    return config, names


def _over(data: dict[str, Any], home: Path) -> dict[str, Any]:
    """Return a pipeline's document with absolute paths to its data."""
    data["catalogue"] = str(home / data["catalogue"])
    features = data["features"]
    for field in ("definitions", "overlay", "live"):
        if features.get(field):
            features[field] = str(home / features[field])
    if (features["store"] or {}).get("path"):
        features["store"]["path"] = str(home / features["store"]["path"])
    for model in data["models"].values():
        model["artifact"] = str(home / model["artifact"])
    return data


def _copy_artifact(source: Path, target: Path) -> None:
    """Write the artifact's model as another version. An additional file changes the version."""
    artifact = Artifact.read(source)

    def write(staging: Path) -> None:
        shutil.copytree(source, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        (staging / "copy.txt").write_text("the same model as another artifact\n")

    write_artifact(
        target,
        name=artifact.name,
        signature=artifact.signature,
        weights=artifact.weights,
        write_files=write,
        architecture=artifact.architecture,
    )
