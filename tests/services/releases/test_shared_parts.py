"""Parts that several releases use are loaded once."""

import os
import shutil
from pathlib import Path

from services.config.loading import load_config
from services.releases.loading import load_release
from services.releases.shared_parts import SharedParts
from tests.pipelines import make_pipeline


def test_releases_with_the_same_files_share_catalogue_and_models(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    shared = SharedParts()
    first, second = (load_release(config, tmp_path, ("ranker",), shared) for _ in range(2))
    assert second.catalogue is first.catalogue
    assert second.models["ranker"] is first.models["ranker"]
    alone = load_release(config, tmp_path, ("ranker",))
    assert alone.catalogue is not first.catalogue


def test_shares_hard_links_but_not_copies(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    root = tmp_path / config.catalogue
    shared = SharedParts()
    opened = shared.catalogue(root)
    shutil.copytree(root, tmp_path / "linked", copy_function=os.link)
    shutil.copytree(root, tmp_path / "copied")
    assert shared.catalogue(tmp_path / "linked") is opened
    assert shared.catalogue(tmp_path / "copied") is not opened


def test_loads_a_model_once_for_each_catalogue(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path))
    shared = SharedParts()
    model = config.models["ranker"]
    shutil.copytree(tmp_path / config.catalogue, tmp_path / "copied")
    catalogues = [shared.catalogue(tmp_path / "copied"), shared.catalogue(tmp_path / config.catalogue)]
    scorers = [shared.scorer(model, catalogue, tmp_path) for catalogue in catalogues]
    assert scorers[0] is not scorers[1]
    assert shared.scorer(model, catalogues[0], tmp_path) is scorers[0]
