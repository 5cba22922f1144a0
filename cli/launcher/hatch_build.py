"""The wheel's build hook.

A wheel includes the package ``rankway``. An editable install finds this package in the source folder, through a path
entry.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LauncherHook(BuildHookInterface[Any]):
    """Puts the launcher into the wheel, as the wheel's only top-level name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Include the launcher unless this is an editable build."""
        if version != "editable":
            build_data["force_include"]["cli/launcher/rankway"] = "rankway"
