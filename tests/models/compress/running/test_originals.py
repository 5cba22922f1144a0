"""The original of a run: it stays the same if its own folder is replaced."""

import os
from pathlib import Path

import pytest

from models.artifact import MANIFEST, Artifact
from models.compress.running.originals import kept_original, remove_other_originals
from models.errors import ArtifactError, FeatureMismatch
from tests.models.compress.homes import model_in, write_small
from tests.models.worlds import FEATURES, make_catalogue, make_ranker

HASH = FEATURES.content_hash


def test_original_keeps_its_files_while_its_own_folder_is_replaced(home: Path) -> None:
    out, before = home / "compressed", model_in(home)
    kept = kept_original(before.root, out, HASH)
    assert kept.artifact == before.artifact
    weights = before.artifact.weights
    assert (kept.root / weights).stat().st_ino == (before.root / weights).stat().st_ino  # no second copy
    after = write_small(before.root, make_ranker(seed=1), make_catalogue(home / "other"))
    assert after.version != kept.artifact.version
    Artifact.load(kept.root).check_version(kept.root)

    new = kept_original(before.root, out, HASH)
    remove_other_originals(out, new.artifact.version)
    assert [path.name for path in (out / ".original").iterdir()] == [after.version]
    Artifact.load(new.root)


def test_original_on_another_disk_is_copied(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    model = model_in(home)
    kept = kept_original(model.root, home / "compressed", HASH)
    assert Artifact.load(kept.root) == model.artifact
    assert (kept.root / MANIFEST).stat().st_ino != (model.root / MANIFEST).stat().st_ino


def test_damaged_copy_is_replaced_and_a_damaged_original_is_refused(home: Path) -> None:
    model, out = model_in(home), home / "compressed"
    kept = kept_original(model.root, out, HASH)
    (kept.root / MANIFEST).unlink()
    assert Artifact.load(kept_original(model.root, out, HASH).root) == model.artifact
    with pytest.raises(FeatureMismatch):
        kept_original(model.root, out, "other")
    (model.root / model.artifact.weights).write_bytes(b"")
    with pytest.raises(ArtifactError, match="damaged"):
        kept_original(model.root, out, HASH)
