"""Find a RayService's live RayCluster, compare its groups with a configuration, and patch them.

Other writers may change the cluster at the same time. A patch is applied only if the cluster has not changed since the
comparison.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cli.k8s.kubectl import Conflict, Kubectl, KubernetesError, Missing, Object, Rejected
from cli.k8s.scaling import Group, GroupDifference, differences, patch_of

SERVICES, CLUSTERS = "rayservices.v1.ray.io", "rayclusters.v1.ray.io"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Service:
    """A RayService.

    Attributes:
        active: the serving cluster's name, if any.
        pending: the name of the cluster that will take over, if any.
        applied: the worker groups in the RayService.
    """

    name: str
    namespace: str
    active: str | None
    pending: str | None
    applied: tuple[Group, ...]

    def target(self, *, pending: bool) -> str:
        """Return the name of the cluster to scale.

        This is the active cluster, or the pending cluster if it is requested or there is no active cluster.

        Raises:
            KubernetesError: there is no such cluster.
        """
        cluster = self.pending if pending else self.active or self.pending
        if cluster is None:
            kind = "pending" if pending else "active"
            raise KubernetesError(
                f"RayService {self.name}: has no {kind} cluster, got {self.active or 'none'} as the active one; "
                f"look at "
                f"`kubectl -n {self.namespace} get rayservice,raycluster`"
            )
        return cluster


@dataclass(frozen=True, slots=True)
class Scaling:
    """The changes that one cluster needs.

    Attributes:
        generation: the cluster's ``metadata.generation`` when it was compared.
        groups: one comparison per worker group.
    """

    service: Service
    cluster: str
    generation: int
    groups: tuple[GroupDifference, ...]

    @property
    def is_needed(self) -> bool:
        """Return whether any group differs from the configuration."""
        return any(group.changes for group in self.groups)

    def same_changes(self, other: "Scaling | None") -> bool:
        """Return whether the other scaling makes the same changes to the same cluster.

        Two changes are the same if their fields, old values and new values are equal.
        """
        return other is not None and (self.cluster, _changes(self)) == (other.cluster, _changes(other))


Outcome = Literal["patched", "same", "declined"]


class LiveScaler:
    """Changes the worker groups in a RayService's live cluster to match a configuration."""

    def __init__(self, kubectl: Kubectl, service: str, wanted: Sequence[Group], *, pending: bool) -> None:
        """Prepare the scaler. This sends no request.

        ``wanted`` are the configuration's worker groups. ``pending`` selects the cluster that will take over.
        """
        self._kubectl, self._service, self._wanted, self._pending = kubectl, service, wanted, pending

    def read(self) -> Scaling:
        """Compare the live cluster with the configuration.

        Raises:
            KubernetesError: the API server cannot be reached.
            ConfigError: as for ``differences``.
        """
        service = self._read_service()
        name = service.target(pending=self._pending)
        cluster = self._kubectl.get(CLUSTERS, name)
        groups = differences(name, cluster["spec"].get("workerGroupSpecs") or [], self._wanted)
        return Scaling(service, name, cluster["metadata"]["generation"], groups)

    def scale(self, agree: Callable[[Scaling], bool], tell: Callable[[str], None]) -> tuple[Outcome, Scaling]:
        """Patch the serving cluster. If the cluster or its RayService changed meanwhile, read and compare again.

        Args:
            agree: called before a patch, and again if the changes differ from the agreed changes.
            tell: called with each message for the user.

        Returns:
            The outcome, and the last difference.

        Raises:
            KubernetesError: as for ``read``, or the cluster changed during every attempt.
        """
        agreed: Scaling | None = None
        for _ in range(_ATTEMPTS):
            try:
                scaling = self.read()
            except Missing:
                if agreed is None:
                    raise
                continue  # the cluster was deleted after its RayService was read
            if not scaling.is_needed:
                return "same", scaling
            if not scaling.same_changes(agreed):
                if not agree(scaling):
                    return "declined", scaling
                agreed = scaling
            if not self._still_serves(scaling):
                tell(
                    f"RayCluster {scaling.cluster}: not patched, because another cluster has taken over meanwhile"
                )
            elif not self._patched(scaling):
                tell(
                    f"RayCluster {scaling.cluster}: not patched, because it was changed meanwhile; it is read again"
                )
            elif self._still_serves(scaling):
                return "patched", scaling
            else:
                tell(f"RayCluster {scaling.cluster}: patched, but another cluster has taken over meanwhile")
        raise KubernetesError(
            f"RayService {self._service}: the cluster changed during all {_ATTEMPTS} attempts; "
            f"wait until the upgrade or the other writer is done, and try again"
        )

    def _patched(self, scaling: Scaling) -> bool:
        """Patch the cluster. Return False, without a change, if the cluster has changed since it was read."""
        try:
            self._kubectl.patch(CLUSTERS, scaling.cluster, patch_of(scaling.generation, scaling.groups))
        except (Conflict, Missing):
            return False
        except Rejected:
            if self._kubectl.get(CLUSTERS, scaling.cluster)["metadata"]["generation"] == scaling.generation:
                raise
            return False
        return True

    def _still_serves(self, scaling: Scaling) -> bool:
        service = self._read_service()
        if self._pending and scaling.cluster == service.active:
            return True  # the pending cluster has taken over
        return scaling.cluster == service.target(pending=self._pending)

    def _read_service(self) -> Service:
        document = self._kubectl.get(SERVICES, self._service)
        status, spec = document.get("status") or {}, document["spec"]
        return Service(
            name=document["metadata"]["name"],
            namespace=document["metadata"]["namespace"],
            active=_cluster_name(status, "activeServiceStatus"),
            pending=_cluster_name(status, "pendingServiceStatus"),
            applied=tuple(spec["rayClusterConfig"].get("workerGroupSpecs") or []),
        )


def _cluster_name(status: Object, field: str) -> str | None:
    return (status.get(field) or {}).get("rayClusterName") or None


def _changes(scaling: Scaling) -> list[tuple[str, object]]:
    return [(group.name, group.changes) for group in scaling.groups if group.changes]
