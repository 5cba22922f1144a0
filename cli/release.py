"""``rankway release``: change a running pipeline's release."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import exit_on_error, print_warning
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError, ReleaseError
from services.paths import home_directory
from services.releases.staging import ReleaseFolder

app = typer.Typer(help="Switch models, catalogue and features together, under load.", no_args_is_help=True)
Config = Annotated[Path, typer.Argument(help="Pipeline YAML file.")]


@app.command("list")
def list_releases(config: Config) -> None:
    """List the staged releases, oldest first. * marks the active one."""
    console = Console(stderr=True)
    with exit_on_error(console):
        pipeline, folder = _open(config)
        active = folder.history.active()
        for release in folder.staged():
            mark = "*" if release.name == active else " "
            models = " ".join(f"{name} {version}" for name, version in release.model_versions.items())
            typer.echo(
                f"{mark} {release.name}  {release.staged_at}  catalogue {release.catalogue_version}  "
                f"features {release.feature_hash}  {models}"
            )
        if active is None:
            console.print(
                f"no release is active: {pipeline.name} serves the versions that its configuration names"
            )


@app.command()
def stage(config: Config) -> None:
    """Save the configured models, catalogue and features as a release. Print its name."""
    console = Console(stderr=True)
    with exit_on_error(console):
        from services.deployment.check import check_artifacts

        pipeline, folder = _open(config)
        faults = check_artifacts(pipeline, home_directory())
        if faults:
            raise ConfigError("\n".join(faults))
        release = folder.stage(pipeline)
        console.print(f"staged at {folder.root / release.name}", soft_wrap=True, highlight=False)
        typer.echo(release.name)


@app.command()
def activate(
    config: Config,
    name: Annotated[
        str | None, typer.Argument(help="Release name. Default: the release staged last.")
    ] = None,
) -> None:
    """Load and warm a release in all replicas, then switch to it. A failed load changes nothing."""
    console = Console(stderr=True)
    with exit_on_error(console):
        pipeline, folder = _open(config)
        if name is None:
            staged = folder.staged()
            if not staged:
                raise ReleaseError(
                    f"NAME: no release is staged at {folder.root}; stage one with `rankway release stage`"
                )
            name = staged[-1].name
        _activate(pipeline, folder, name, console)


@app.command()
def rollback(config: Config) -> None:
    """Switch back to the release that was active before."""
    console = Console(stderr=True)
    with exit_on_error(console):
        pipeline, folder = _open(config)
        _activate(pipeline, folder, folder.history.previous(), console, is_rollback=True)


def _activate(
    pipeline: PipelineConfig, folder: ReleaseFolder, name: str, console: Console, *, is_rollback: bool = False
) -> None:
    from services.deployment.check import check_artifacts  # imported here, because these imports load Ray
    from services.deployment.discovery import connect_to_service
    from services.releases.rollout import Rollout

    home = home_directory()
    for line in folder.differences(pipeline, name):
        print_warning(console, f"release {name}: {line}")
    with (
        console.status("looking for the service") as status,
        connect_to_service(pipeline, home) as is_running,
    ):
        if is_running:
            Rollout(pipeline, folder, status.update).activate(name, is_rollback=is_rollback)
        else:
            faults = check_artifacts(folder.applied(pipeline, name), home)
            if faults:
                raise ReleaseError("\n".join(faults))
            folder.history.note_active(name, is_rollback=is_rollback)
    where = "in all replicas" if is_running else "from the next start on: no service is running now"
    console.print(f"{name} is active {where}", highlight=False, soft_wrap=True)


def _open(config: Path) -> tuple[PipelineConfig, ReleaseFolder]:
    pipeline = load_config(config)
    return pipeline, ReleaseFolder(home_directory(), pipeline.name, pipeline.trust)
