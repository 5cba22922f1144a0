"""A staged release's features: its own definitions, with the configuration's store and folders.

The store, the overlay and the live item features change while releases serve. The configuration therefore decides
where they are, not the release. In particular, addresses, passwords and TLS always come from the configuration.

There is one exception. Rows and overlays can be read only with the definitions with which they were written. If the
release and the configuration have different definitions, the release reads its rows and its overlay from the recorded
location. This is ``store.prefix`` or ``store.path``, and ``overlay``, as they were when the release was staged.
Live item features always come from the folder in the configuration. An old folder could show a closed item as open.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.features.definition import FeatureSet
from services.errors import ConfigError
from services.stages.features import FeaturesConfig, load_definitions
from services.stores.kinds.registry import STORES, StoreConfig

_NOT_COMPARED = {"definitions", "refresh_s", "timeout_ms", "connect_timeout_ms", "breaker"}
"""Fields without a report: ``definitions``, which always come from the release, and fields that change no answer."""


def features_of(recorded: FeaturesConfig, present: FeaturesConfig, home: Path) -> FeaturesConfig:
    """Return the features with which a release is served: its definitions, and the configuration's other fields.

    If the configuration defines the stored features or the overlay's features differently, the store's or the
    overlay's recorded location is used.

    Args:
        recorded: the release's features, as they were when it was staged.
        present: the configuration's features.
        home: the folder from which relative paths start.
    """
    changes: dict[str, Any] = {"definitions": recorded.definitions}
    own, configured = _definitions(recorded, home), _definitions(present, home)
    if own is not None and configured is not None:
        if own.hash_of("user", "realtime") != configured.hash_of("user", "realtime"):
            changes["store"] = _with_location_of(recorded.store, present.store)
        if own.hash_of("global", "cell") != configured.hash_of("global", "cell"):
            changes["overlay"] = recorded.overlay
    return present.model_copy(update=changes)


def differences(recorded: FeaturesConfig, present: FeaturesConfig, home: Path) -> list[str]:
    """Return a line for each field whose value differs between the release and the configuration.

    The arguments are as for ``features_of``.
    """
    used = dict(_fields(features_of(recorded, present, home)))
    staged, configured = dict(_fields(recorded)), dict(_fields(present))
    if staged.get("store.kind") != configured.get("store.kind"):
        staged, configured = (
            {n: v for n, v in f.items() if n == "store.kind" or "." not in n} for f in (staged, configured)
        )
    return [
        f"features.{name}: {configured.get(name)!r} in the configuration, {staged.get(name)!r} when the release was "
        "staged; "
        + (
            "the configuration's value is used"
            if used.get(name) == configured.get(name)
            else "the release's value is used, because the feature definitions differ"
        )
        for name in {**staged, **configured}
        if staged.get(name) != configured.get(name)
    ]


def _definitions(features: FeaturesConfig, home: Path) -> FeatureSet | None:
    try:
        return load_definitions(home / features.definitions)
    except ConfigError:  # a release can be served even if the files that the configuration names are missing
        return None


def _with_location_of(recorded: StoreConfig | None, present: StoreConfig | None) -> StoreConfig | None:
    if recorded is None or present is None or recorded.kind != present.kind:
        return present
    location = STORES.for_config(present).place
    return present.model_copy(update={name: getattr(recorded, name) for name in location})


def _fields(features: FeaturesConfig) -> Iterator[tuple[str, Any]]:
    """Yield the dotted names and the values of compared fields."""

    def leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if name in _NOT_COMPARED:
                continue
            if isinstance(value, Mapping) and value:
                yield from leaves(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", value

    return leaves(features.model_dump(mode="json"), "")
