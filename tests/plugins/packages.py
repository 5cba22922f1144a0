"""Packages outside the tree, as pip installs them: modules, and a dist-info folder with entry points."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from tests.guides.blocks import blocks

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


def guide_files() -> dict[str, str]:
    """Return the files that the guide shows, by name."""
    return {block.title: block.text for block in blocks(GUIDE) if block.title}


def install(site: Path, name: str, files: Mapping[str, str], groups: Mapping[str, Mapping[str, str]]) -> None:
    """Write a package's modules and metadata below ``site``. `groups` has targets by group and name."""
    for path, text in files.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, targets in groups.items():
        lines += [f"[{group}]", *(f"{kind} = {target}" for kind, target in targets.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def install_guide(site: Path) -> None:
    """Install the guide's package."""
    files = guide_files()
    groups = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    modules = {name: text for name, text in files.items() if name.startswith("acme/")}
    install(site, "acme", {"acme/__init__.py": "", **modules}, groups)
