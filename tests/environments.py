"""Python environments for tests: the packages installed here without some of them, so that nothing is downloaded."""

import subprocess
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

TORCH = ("accelerate", "deepspeed", "functorch", "torch", "torchgen")
"""PyTorch, and the packages that import it."""


def make_environment(root: Path, *, without: Collection[str]) -> Path:
    """Make an environment at ``root`` without some packages and without Rankway, and return its Python.

    Its site-packages folder has links to this environment's packages.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    (site_packages,) = root.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        name = entry.name.partition("-")[0]
        if (
            entry.suffix != ".pth"
            and name not in without
            and not name.startswith(("rankway", "__editable__"))
        ):
            (site_packages / entry.name).symlink_to(entry)
    return root / "bin" / "python"


def install_wheel(python: Path, wheel: Path) -> None:
    """Install a wheel without its dependencies, offline."""
    options = ["--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([sys.executable, "-m", "pip", *options, wheel], check=True, timeout=120)


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into ``folder``, offline, and return it."""
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, project], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    return wheel
