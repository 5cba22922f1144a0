"""``rankway k8s render``: write a pipeline's RayService and disruption budgets as a folder for kustomize."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from cli.errors import exit_on_error, print_warning
from models.atomic_directory import written_whole
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.config.placement import all_placements
from services.errors import ConfigError
from services.paths import home_directory
from services.stores.kinds.lmdb import LmdbConfig

KUSTOMIZATION = "kustomization.yaml"
_MARK = "# Rendered by `rankway k8s render"


def render(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    out: Annotated[Path, typer.Argument(help="Folder to write. If it was rendered before, it is replaced.")],
) -> None:
    """Render a pipeline's RayService, Serve config and disruption budgets as a folder for kustomize."""
    console = Console(stderr=True)
    with exit_on_error(console):
        files = rendered(config, home_directory())
        write_files(files, out)
    for warning in warnings(load_config(config)):
        print_warning(console, warning)
    console.print(f"{out}: {', '.join(sorted(files))}", markup=False, highlight=False, soft_wrap=True)


def rendered(config_path: Path, home: Path) -> dict[str, str]:
    """Return the text of each file to write, by file name.

    Args:
        config_path: the pipeline's YAML file.
        home: the folder with the profiles, and with the artifacts of models whose runtime is ``auto``.

    Raises:
        ConfigError: the pipeline cannot be read, or cannot run on Kubernetes.
        AutoscaleError: as for ``serve_config``.
    """
    from cli.k8s.disruption import disruption_budgets
    from cli.k8s.rayservice import ray_service

    config = pipeline_in_pods(config_path, home)
    objects = {
        "rayservice.yaml": [ray_service(config, home)],
        "disruption-budgets.yaml": disruption_budgets(config),
    }
    header = (
        f"{_MARK} {_path_in_repository(config_path)}` from that file alone. Edit that file, not this one.\n"
    )
    files = {name: header + _yaml(each) for name, each in objects.items()}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    return files | {KUSTOMIZATION: header + _yaml([kustomization])}


def pipeline_in_pods(config_path: Path, home: Path) -> PipelineConfig:
    """Read a pipeline's configuration in its pods. The arguments and errors are as for ``rendered``."""
    from cli.k8s.checks import check_renderable
    from cli.k8s.rayservice import in_pods
    from services.config.runtimes import resolved

    config = resolved(load_config(config_path), home)
    check_renderable(config)
    return in_pods(config)


def write_files(files: Mapping[str, str], out: Path) -> None:
    """Write all files at once, replacing an earlier rendering.

    Raises:
        ConfigError: ``out`` is a file, or a folder with other files.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"OUT: must be a folder, got the file {out}; name another path")
    if out.is_dir() and any(out.iterdir()):
        others = sorted(path.name for path in out.iterdir() if not _is_rendered(path))
        if others:
            raise ConfigError(
                f"OUT: the folder {out} would be replaced, but has files that were not rendered, got "
                f"{', '.join(others[:3])}; name an empty folder"
            )
    try:
        with written_whole(out.resolve()) as folder:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"OUT: {out} cannot be written: {error.strerror}; name a writable folder"
        ) from error


def warnings(config: PipelineConfig) -> list[str]:
    """Return warnings about a pipeline that can run, but perhaps not as its author expects."""
    from cli.k8s.groups import nodes_to_update, used_pools

    lines = []
    unused = sorted(set(config.pools) - {placement.key.pool for placement in all_placements(config)})
    if unused:
        lines.append(f"pools.{', pools.'.join(unused)}: used by no unit, so without a worker group")
    if isinstance(config.features.store, LmdbConfig):
        lines.append(
            "features.store: kind lmdb is a folder on the home volume. Pods read the folder over the network, "
            "and nothing "
            "can write to it while the pipeline is served; kind redis is a server that all pods share"
        )
    for name, pool in used_pools(config).items():
        if (needed := nodes_to_update(config, name)) > pool.max_nodes:
            lines.append(
                f"pools.{name}.max_nodes: an update starts each new replica before it stops an old one. The minimum "
                f"replicas already fill all {pool.max_nodes} nodes, so an update would wait forever; give "
                f"{needed} or more"
            )
    return lines


def _is_rendered(path: Path) -> bool:
    return path.is_file() and path.suffix == ".yaml" and path.read_bytes().startswith(_MARK.encode())


def _path_in_repository(config: Path) -> str:
    """Return the configuration's path for the header. It is the same for every user and every current directory."""
    return f"configs/{config.name}" if config.parent.name == "configs" else config.name


def _yaml(objects: Sequence[Mapping[str, Any]]) -> str:
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120, explicit_start=len(objects) > 1)


class _Dumper(yaml.SafeDumper):
    """Writes multi-line text as a block, and never writes an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
