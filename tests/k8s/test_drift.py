"""The rendered manifests that are committed under k8s/ are up to date with configs/."""

from pathlib import Path

import pytest

from cli.k8s.render import rendered
from tests.k8s.built import K8S, ROOT

RENDERED = {
    K8S / "base" / "rendered": ROOT / "configs" / "cluster.yaml",
    K8S / "overlays" / "dev" / "rendered": ROOT / "configs" / "cluster-dev.yaml",
}


@pytest.mark.parametrize(("folder", "config"), RENDERED.items(), ids=lambda path: path.name)
def test_committed_manifests_are_the_rendered_ones(folder: Path, config: Path, tmp_path: Path) -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert committed == rendered(config, tmp_path), (
        f"the manifests are out of date; rankway k8s render {config.relative_to(ROOT)} {folder.relative_to(ROOT)}"
    )


def test_every_rendered_folder_is_checked() -> None:
    assert {path.parent for path in K8S.rglob("rayservice.yaml")} == set(RENDERED)
