"""Entry points: the names that installed packages add to a group. Reading them imports no code from those packages."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from autoscale.registries.errors import LoadFailure


def declared_names(group: str) -> list[str]:
    """Return the names that installed packages declare in a group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def declared_target(group: str, name: str) -> str | None:
    """Return a name's target in a group, or None if no installed package declares the name.

    Raises:
        LoadFailure: several packages declare the name, or its target is malformed.
    """
    points = list(entry_points(group=group, name=name))
    if not points:
        return None
    if len({point.value for point in points}) > 1:
        raise LoadFailure(
            f"several installed packages add this name, got {' and '.join(_claims(points))}; uninstall all but one"
        )
    match = points[0].pattern.match(points[0].value)
    if match is None or match["attr"] is None:
        raise LoadFailure(
            f"the package's entry point must have the form package.module:attribute, got {points[0].value!r}; "
            f"correct the entry point"
        )
    return f"{match['module']}:{match['attr']}"


def _claims(points: list[EntryPoint]) -> Iterator[str]:
    for point in points:
        package = "an unknown package" if point.dist is None else point.dist.name
        yield f"{point.value} of {package}"
