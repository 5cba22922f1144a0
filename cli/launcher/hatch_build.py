"""The build hook: a wheel gets the package ``rankway``; an editable install finds it here, by a path entry."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LauncherHook(BuildHookInterface[Any]):
    """Puts the launcher into the wheel, under the one name that a wheel takes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Include the launcher if this is no editable build."""
        if version != "editable":
            build_data["force_include"]["cli/launcher/rankway"] = "rankway"
