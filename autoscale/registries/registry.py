"""A lazy registry: it maps a kind's name to a descriptor, which it loads at first use.

The built-in kinds are a table of targets. Other packages add kinds as entry points of the registry's group. Such a kind
is looked up when a configuration names it, and loaded if the configuration trusts its package. A built-in kind takes
precedence, so no package can replace it.
"""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from autoscale.registries.entry_points import declared_names, declared_target
from autoscale.registries.errors import LoadFailure, UnknownKind
from autoscale.registries.targets import load_target
from autoscale.registries.trust import refuse_untrusted


class Descriptor(Protocol):
    """The interface that all registry entries have."""

    @property
    def config(self) -> type[BaseModel]:
        """The class of its options in a configuration."""
        ...


Entry = TypeVar("Entry", bound=Descriptor)


class Registry(Generic[Entry]):
    """The kinds of one pipeline part."""

    def __init__(
        self,
        noun: str,
        builtins: Mapping[str, str],
        *,
        entry: type[Entry],
        options: type[BaseModel],
        group: str | None = None,
        extra: str | None = None,
    ) -> None:
        """Create a registry. This imports no kind.

        Args:
            noun: a kind's name in error messages, such as "runtime".
            builtins: targets by kind.
            entry: the descriptor class.
            options: the base class for the options of all kinds.
            group: the entry-point group for other packages. None: other packages cannot add kinds.
            extra: rankway's extra with the dependencies of the built-in modules.
        """
        self._noun, self._builtins, self._entry, self._options = noun, dict(builtins), entry, options
        self._group, self._extra = group, extra

    @property
    def builtins(self) -> tuple[str, ...]:
        """The kinds that are part of this repository."""
        return tuple(self._builtins)

    def get(self, kind: str) -> Entry:
        """Return the descriptor for a kind that a configuration names.

        Raises:
            UnknownKind: there is no such kind.
            Untrusted: the kind belongs to another package, which the configuration does not trust.
            LoadFailure: the descriptor cannot be loaded.
        """
        target = self.plugin_target(kind)
        if target is not None:
            refuse_untrusted(target)
        return self._load(kind, target)

    def for_config(self, config: BaseModel) -> Entry:
        """Return the descriptor for validated options. Trust was checked when they were validated.

        Raises:
            UnknownKind: there is no such kind.
            LoadFailure: the descriptor cannot be loaded, or has another class of options.
        """
        kind: str = getattr(config, "kind")  # noqa: B009  # every class of options has a kind
        entry = self._load(kind, self.plugin_target(kind))
        if not isinstance(config, entry.config):
            raise LoadFailure(
                f"the options of {self._noun} {kind} have the wrong class, got {type(config).__name__}; "
                f"use {entry.config.__name__}"
            )
        return entry

    def packages_of(self, config: BaseModel) -> list[str]:
        """Return the external packages that validated options need, so that another process can trust them."""
        kind: str = getattr(config, "kind")  # noqa: B009  # as above
        target = self.plugin_target(kind)
        return [] if target is None else [target.partition(":")[0]]

    def plugin_target(self, kind: str) -> str | None:
        """Return a plug-in kind's target, or None if the kind is built in. This imports no code.

        Raises:
            UnknownKind: there is no such kind.
            LoadFailure: several packages add the kind, or its target is malformed.
        """
        if kind in self._builtins:
            return None
        target = None if self._group is None else declared_target(self._group, kind)
        if target is None:
            raise UnknownKind(f"unknown {self._noun}, got {kind!r}; {self._remedy()}")
        return target

    def _remedy(self) -> str:
        installed = [] if self._group is None else declared_names(self._group)
        known = ", ".join([*self._builtins, *(name for name in installed if name not in self._builtins)])
        if self._group is None:
            return f"use one of {known}"
        return f"use one of {known}, or install the package that adds it" if known else "install its package"

    def _load(self, kind: str, target: str | None) -> Entry:
        if target is None:
            loaded: Any = load_target(self._builtins[kind], extra=self._extra)
        else:
            loaded = load_target(target)
        if not isinstance(loaded, self._entry):
            raise LoadFailure(
                f"the entry point of {self._noun} {kind} must be a {self._entry.__name__}, got {target} of type "
                f"{type(loaded).__name__}; correct the entry point"
            )
        config: Any = loaded.config
        if not (isinstance(config, type) and issubclass(config, self._options)):
            raise LoadFailure(
                f"the options of {self._noun} {kind} must be a subclass of {self._options.__name__}, got {config!r}; "
                f"derive its class from {self._options.__name__}"
            )
        return loaded
