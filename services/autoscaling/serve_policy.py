"""Policies for Ray Serve. Serve imports them by name, makes them in its controller and calls them in each control loop.

An exception here would freeze every application in the cluster, so none is raised. If the scaler cannot be
made, or its policy fails, the targets stay as they are. Serve pickles this module by value, and a controller
may run without the rest of the package. So only the standard library is imported at the top.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

APPLICATION_POLICY = "services.autoscaling.serve_policy:PipelinePolicy"
DEPLOYMENT_POLICY = "services.autoscaling.serve_policy:UnitPolicy"
_logger = logging.getLogger("ray.serve")


class _Guarded:
    """A scaler that never raises an exception."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Make the scaler. If that fails, log the error and never change the targets."""
        self._scaler: Any = None
        try:
            self._scaler = make()
        except BaseException:
            _logger.exception("autoscaling cannot start; the numbers of replicas stay as they are")

    def targets(self, contexts: Mapping[str, Any]) -> dict[str, int]:
        """Return the scaler's targets, or the current targets if it fails."""
        current = {name: context.target_num_replicas for name, context in contexts.items()}
        if self._scaler is None or not contexts:
            return current
        try:
            now_s = max(context.current_time for context in contexts.values())
            wanted = self._scaler.targets(contexts, now_s)
            return {name: max(0, int(wanted.get(name, current[name]))) for name in contexts}
        except BaseException:
            _logger.exception("the autoscaling policy failed; the numbers of replicas stay as they are")
            return current


class PipelinePolicy:
    """An application-level policy: one decision for all of a pipeline's deployments."""

    def __init__(
        self,
        config: dict[str, Any],
        profiles: list[dict[str, Any]],
        home: str | None = None,
        keys: Any = None,
    ) -> None:
        """Prepare the policy.

        Args:
            config: the pipeline, as JSON.
            profiles: the profiles that the autoscaling policy reads, as JSON.
            home: the folder below which decisions are recorded.
            keys: the store for weights and state. The default is Ray's key-value store.
        """

        def make() -> Any:
            from pathlib import Path

            from services.autoscaling.kv_store import KvStore
            from services.autoscaling.scaler import pipeline_scaler

            pipeline, parsed = _read(config, profiles)
            store = KvStore(pipeline.name, keys)
            return pipeline_scaler(pipeline, parsed, store, None if home is None else Path(home))

        self._guarded = _Guarded(make)

    def __call__(self, contexts: dict[Any, Any]) -> tuple[dict[Any, int], dict[Any, dict[str, Any]]]:
        """Return the target replica counts, by Serve's deployment ids.

        A pool that stays empty is left out if its unit has replicas in another pool. Serve starts a replica of every
        listed deployment that has none but had calls in the last 30 s, even if its target is 0. An emptied pool would
        be started and stopped again and again in that time.
        """
        targets = self._guarded.targets({each.name: context for each, context in contexts.items()})
        in_use = {_unit(name) for name, target in targets.items() if target}
        stays_empty = {
            each
            for each, context in contexts.items()
            if targets[each.name] == context.target_num_replicas == 0 and _unit(each.name) in in_use
        }
        return {each: targets[each.name] for each in contexts if each not in stays_empty}, {}


class UnitPolicy:
    """A deployment-level policy, for an application that is not deployed from a declarative config."""

    def __init__(self, config: dict[str, Any], profiles: list[dict[str, Any]], deployment: str) -> None:
        """Prepare the policy.

        Args:
            config: the pipeline, as JSON.
            profiles: the profiles that the autoscaling policy reads, as JSON.
            deployment: the name of the deployment that the policy scales.
        """

        def make() -> Any:
            from services.autoscaling.scaler import unit_scaler

            return unit_scaler(*_read(config, profiles), deployment)

        self._name, self._guarded = deployment, _Guarded(make)

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Return the deployment's target replica count."""
        return self._guarded.targets({self._name: context})[self._name], {}


def _unit(deployment: str) -> str:
    """Return the unit of the deployment ``<unit>@<pool>`` or ``<unit>``."""
    return deployment.partition("@")[0]


def policy_arguments(config: Any, profiles: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the arguments that both policies take, as JSON."""
    return {
        "config": config.model_dump(mode="json"),
        "profiles": [profile.model_dump(mode="json") for profile in profiles.values()],
    }


def _read(config: dict[str, Any], profiles: list[dict[str, Any]]) -> tuple[Any, dict[Any, Any]]:
    from autoscale.profiles import Profile
    from autoscale.spec import Key
    from services.config.pipeline import PipelineConfig

    parsed = [Profile.model_validate(profile) for profile in profiles]
    return PipelineConfig.model_validate(config), {Key(each.unit, each.pool): each for each in parsed}
