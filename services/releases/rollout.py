"""A rollout: one release made the active one in all replicas of all units of a running service.

Every replica first loads and warms it beside the present one. If one of them cannot, all forget it again and nothing
has changed. Else it is noted on disk, for replicas that start later; the ingress replicas swap, each in one step, and
say when their last request of the old release has left; only then do the other units let go of the old one.
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
    """The replicas of a running service, and what they are told. Blocking; not for a replica's event loop."""

    def __init__(self, config: PipelineConfig, folder: ReleaseFolder, say: Callable[[str], None]) -> None:
        """Speak to the units of ``config``; inside ``joined``."""
        self._folder = folder
        self._say = say
        names = [placement.deployment for placement in all_placements(config)]
        self._units: dict[str, DeploymentHandle[Any]] = {
            name: serve.get_deployment_handle(name, config.name) for name in names
        }
        self._ingress = names[0]

    def statuses(self) -> dict[str, list[Status]]:
        """Ask every replica, by deployment: a unit has one in each of its pools."""
        return {unit: self._tell(unit, "release_status") for unit in self._units}

    def activate(self, name: str, *, is_rollback: bool = False) -> None:
        """Make a staged release the active one, everywhere or nowhere.

        Raises:
            ReleaseError: a replica cannot load it, and why; the present one stays active.
        """
        self._say(f"loading and warming {name} while the active release serves")
        for unit in self._units:
            faults = [fault for fault in self._faults_of_loading(unit, name) if fault]
            if faults:
                for other in self._units:
                    self._tell(other, "give_up_release", name, faults[0])
                stays = ", ".join({s["release"] for s in self._tell(self._ingress, "release_status")})
                raise ReleaseError(
                    "\n".join([f"release {name} was not activated, {stays} stays active:", *faults])
                )
        self._folder.history.note_active(name, is_rollback=is_rollback)
        self._say(f"swapping to {name}")
        for unit in self._units:  # the ingress comes first: no other unit is sent the old one after it
            self._activate_in(unit, name)

    def _faults_of_loading(self, unit: str, name: str) -> list[str]:
        """Give a line for each replica, empty where all is well; one that died of it has said no."""
        return [
            f"{unit}: a replica did not answer: {type(answer).__name__}: {answer}"
            if isinstance(answer, BaseException)
            else ("" if name in answer["loaded"] else f"{unit} {answer['replica']}: {_why(answer)}")
            for answer in self._ask(unit, "load_release", name)
        ]

    def _activate_in(self, unit: str, name: str) -> None:
        """Until all say so: a replica that has just started knows of it from the disk, or is told again."""
        behind: list[Status] = []
        for _ in range(_ROUNDS):
            statuses = self._tell(unit, "activate_release", name)
            behind = [status for status in statuses if status["release"] != name]
            if not behind:
                return
        raise ReleaseError(
            f"release {name} is active, but not in all replicas of {unit}: "
            + "; ".join(f"{status['replica']}: {_why(status)}" for status in behind)
        )

    def _tell(self, unit: str, method: str, *arguments: str) -> list[Status]:
        """Call every replica. One that dies meanwhile is left out: the one in its place reads the disk."""
        answers = self._ask(unit, method, *arguments)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _ask(self, unit: str, method: str, *arguments: str) -> list[Status | BaseException]:
        try:
            answers = self._units[unit].broadcast(method, *arguments)
            return answers.results(timeout_s=_LIMIT_S, return_exceptions=True)
        except DeploymentUnavailableError:
            return []  # scaled to none: the next replica reads the disk
        except (RayServeException, TimeoutError) as error:
            raise ReleaseError(f"unit {unit} cannot be reached: {error}; try again") from error


def _why(status: Status) -> str:
    failed = status["failed"]
    return "it gives no reason" if failed is None else str(failed["why"])
