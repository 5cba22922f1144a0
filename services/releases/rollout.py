"""A rollout makes one release active in all replicas of a running service.

1. Every replica loads and warms the release while the present one serves. If a replica cannot load it, all replicas
   drop the new release, and the service is unchanged.
2. The release is noted on disk as active, for replicas that start later.
3. Each ingress replica swaps in one step. It reports when its last request with the old release has left.
4. Then the other units swap and drop the old release.
"""

from collections.abc import Callable
from typing import Any

from ray import serve
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle

from services.config.pipeline import PipelineConfig
from services.config.placement import all_placements
from services.errors import ReleaseError
from services.releases.live import Status
from services.releases.staging import ReleaseFolder

_LIMIT_S = 600.0
_ROUNDS = 5


class Rollout:
    """Sends release commands to a running service's replicas. The calls block: never use them in an event loop."""

    def __init__(self, config: PipelineConfig, folder: ReleaseFolder, say: Callable[[str], None]) -> None:
        """Connect to a pipeline's units. This process must have joined the cluster with ``connect_to_service``.

        Args:
            config: the pipeline.
            folder: the pipeline's staged releases.
            say: receives a line about each phase.
        """
        self._folder = folder
        self._say = say
        names = [placement.deployment for placement in all_placements(config)]
        self._units: dict[str, DeploymentHandle[Any]] = {
            name: serve.get_deployment_handle(name, config.name) for name in names
        }
        self._ingress = names[0]

    def statuses(self) -> dict[str, list[Status]]:
        """Return every replica's status, by deployment. A unit has a deployment in each of its pools."""
        return {unit: self._call_all(unit, "release_status") for unit in self._units}

    def activate(self, name: str, *, is_rollback: bool = False) -> None:
        """Make a staged release active in all replicas, or in none if one cannot load it.

        Args:
            name: the release.
            is_rollback: as for ``ReleaseHistory.note_active``.

        Raises:
            ReleaseError: a replica cannot load the release. The present release then stays active everywhere. The error
                is also raised if the new release is active, but a replica still does not use it after 5 attempts.
        """
        self._say(f"loading and warming {name} while the active release serves")
        for unit in self._units:
            faults = [fault for fault in self._faults_of_loading(unit, name) if fault]
            if faults:
                for other in self._units:
                    self._call_all(other, "give_up_release", name, faults[0])
                active = ", ".join({s["release"] for s in self._call_all(self._ingress, "release_status")})
                raise ReleaseError(
                    "\n".join([f"release {name} was not activated, so {active} stays active:", *faults])
                )
        self._folder.history.note_active(name, is_rollback=is_rollback)
        self._say(f"swapping to {name}")
        # The ingress comes first. After its swap, the other units get no new calls with the old release.
        for unit in self._units:
            self._activate_in(unit, name)

    def _faults_of_loading(self, unit: str, name: str) -> list[str]:
        """Load the release in all replicas of a unit. Return a text for each replica: its fault, or "" for none.

        A replica that does not answer counts as failed.
        """
        return [
            f"{unit}: a replica did not answer: {type(answer).__name__}: {answer}"
            if isinstance(answer, BaseException)
            else ("" if name in answer["loaded"] else f"{unit} {answer['replica']}: {_why(answer)}")
            for answer in self._broadcast(unit, "load_release", name)
        ]

    def _activate_in(self, unit: str, name: str) -> None:
        """Activate the release in all replicas of a unit, with up to 5 attempts.

        A replica that has just started has read the active release from disk, or gets the command in a later attempt.
        """
        behind: list[Status] = []
        for _ in range(_ROUNDS):
            statuses = self._call_all(unit, "activate_release", name)
            behind = [status for status in statuses if status["release"] != name]
            if not behind:
                return
        raise ReleaseError(
            f"release {name} is active, but not in all replicas of {unit}: "
            + "; ".join(f"{status['replica']}: {_why(status)}" for status in behind)
        )

    def _call_all(self, unit: str, method: str, *arguments: str) -> list[Status]:
        """Call every replica, and return the answers. A replica that ends meanwhile is left out.

        The replica that replaces it reads the active release from disk.
        """
        answers = self._broadcast(unit, method, *arguments)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _broadcast(self, unit: str, method: str, *arguments: str) -> list[Status | BaseException]:
        try:
            answers = self._units[unit].broadcast(method, *arguments)
            return answers.results(timeout_s=_LIMIT_S, return_exceptions=True)
        except DeploymentUnavailableError:
            return []  # the unit has no replica. The next replica reads the active release from disk
        except (RayServeException, TimeoutError) as error:
            raise ReleaseError(f"unit {unit} cannot be reached: {error}; try again") from error


def _why(status: Status) -> str:
    failed = status["failed"]
    return "no reason given" if failed is None else str(failed["why"])
