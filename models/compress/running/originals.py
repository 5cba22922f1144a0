"""The original of a run: the files of its version, which stay even if a training replaces the model meanwhile.

All steps of a run read the same weights under the original's version, however long the run takes.
"""

import shutil
from pathlib import Path

from models.artifact import MANIFEST, Artifact
from models.atomic_directory import settled, written_whole
from models.compress.running.links import link_or_copy
from models.compress.steps.base import Model
from models.errors import ArtifactError

_FOLDER = ".original"


def kept_original(root: Path, out: Path, feature_hash: str) -> Model:
    """Return a model of which the recipe's folder has all files. Files of the same disk are linked, others copied.

    Args:
        root: the model's own folder.
        out: the recipe's folder.
        feature_hash: the hash of the pipeline's feature definitions.

    Raises:
        ArtifactError: the model cannot be read, or is just being replaced.
        FeatureMismatch: the model was trained with other feature definitions.
        OSError: the files cannot be linked or copied.
    """
    artifact = Artifact.load(root, feature_hash=feature_hash)
    kept = out / _FOLDER / artifact.version
    if not _has(kept, artifact):
        source = settled(root)
        with written_whole(kept) as staging:
            for name in (MANIFEST, *artifact.files):
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(source / name, staging / name)
            Artifact.load(staging)
    return Model(kept, artifact)


def remove_other_originals(out: Path, version: str) -> None:
    """Remove the files of other versions, which no running recipe reads."""
    for kept in (out / _FOLDER).glob("*"):
        if kept.name != version:
            shutil.rmtree(kept, ignore_errors=True)


def _has(kept: Path, artifact: Artifact) -> bool:
    try:
        return Artifact.load(kept) == artifact
    except ArtifactError:
        return False
