"""Builds overlays with kubectl, and reads the RayServices in them."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cli.k8s.render import rendered

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
BASE = K8S / "base"
OVERLAYS = sorted(path.parent for path in (K8S / "overlays").glob("*/kustomization.yaml"))
SCHEMA = Path(os.environ.get("RANKWAY_KUBERAY_SCHEMA", ROOT.parent / "shared" / "kuberay"))
"""The path to KubeRay's schema: its file, or the folder with the file."""
_LIMIT_S = 60
_LOADER = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # the C loader is ten times as fast, if it is available


def kubectl() -> str:
    """Return this environment's kubectl, else the one on the path."""
    installed = Path(sys.executable).with_name("kubectl")
    binary = str(installed) if installed.exists() else shutil.which("kubectl")
    assert binary is not None, "kubectl is missing: make install"
    return binary


@functools.cache
def _built_text(folder: Path) -> str:
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    assert done.returncode == 0, f"kubectl kustomize {folder}:\n{done.stderr}"
    return done.stdout


def built(folder: Path) -> list[Object]:
    """Return the objects that kustomize builds from a folder. Each call returns new objects."""
    return [each for each in yaml.load_all(_built_text(folder), _LOADER) if each is not None]


def ray_services(objects: list[Object]) -> list[Object]:
    """Return the RayServices among the objects."""
    return [each for each in objects if each["kind"] == "RayService"]


def rendered_service(config: str) -> Object:
    """Return the rendered RayService of a pipeline in configs/, for pipelines that no overlay uses."""
    files = rendered(ROOT / "configs" / config, ROOT)
    service: Object = yaml.load(files["rayservice.yaml"], _LOADER)
    service["metadata"]["namespace"] = "default"
    return service


def serve_document(service: Object) -> Object:
    """Return a RayService's Serve config."""
    document: Object = yaml.load(service["spec"]["serveConfigV2"], _LOADER)
    return document
