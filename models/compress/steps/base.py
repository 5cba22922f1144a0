"""The interface of a step: it reads a parent artifact and writes a child that is smaller or faster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from models.artifact import Artifact
from models.compress.gate import GateOverrides
from models.compress.steps.uses import MODULES, Uses
from models.features.catalogue import Catalogue
from models.signature import Signature

if TYPE_CHECKING:
    from models.training.examples.lists import Lists
    from models.training.loop import Progress

Split = Literal["train", "select", "report"]
"""``select`` and ``report`` are halves of the validation lists. Only the gate and the tables read ``report``."""


@dataclass(frozen=True, slots=True)
class Model:
    """An artifact with its folder."""

    root: Path
    artifact: Artifact


class Data(Protocol):
    """The lists that steps are fitted to, calibrated on and judged by."""

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        ...

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> "Lists":
        """Return a split's lists, with an assembler for the inputs of ``signature``.

        Args:
            split: which lists.
            signature: the model that reads them.
            limit: the maximum number of lists, evenly spaced over time. None returns all.
        """
        ...

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> "Lists":
        """Return the same lists with the teacher's scores in the candidate column "score".

        They are in the column "teacher" if the signature reads the ranker's scores, which are in "score" then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """All that a step may use besides its options and its parent.

    Attributes:
        original: the model that the recipe compresses. Distillation learns from it.
        data: the lists.
        scratch: a folder for checkpoints. It outlives a killed run. It is removed if the step succeeds or fails.
        key: a hash of the parent, the options, the data and the code. Checkpoints of another key are ignored.
        progress: called with the step's progress.
        seed: the seed of all random choices.
        threads: CPU threads.
    """

    original: Model
    data: Data
    scratch: Path
    key: str
    progress: "Progress"
    seed: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step's report, besides the artifact that it wrote.

    Attributes:
        facts: what the step chose or found, for the lineage and the report, such as {"rank": 16}.
        tables: tables for the report by title. Each is a list of rows with the same columns.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


class StepOptions(BaseModel):
    """Options common to all steps.

    Attributes:
        kind: the step's name.
        gate: the step's own bounds. They do not change the step's result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    gate: GateOverrides | None = None

    @property
    def lineage(self) -> dict[str, Any]:
        """The options that determine the result, as plain data."""
        return self.model_dump(mode="json", exclude={"gate"})

    @property
    def keeps_speed(self) -> bool:
        """Whether the child has the graph of its parent, with other weights."""
        return False

    @property
    def uses(self) -> Uses:
        """The code and the packages that may change the result. A step of another package names its packages here."""
        return MODULES

    @property
    def of_machine(self) -> str:
        """The properties of this machine that determine the result, besides rounding. Empty if there are none."""
        return ""


Options = TypeVar("Options", bound=StepOptions)


@dataclass(frozen=True, slots=True)
class StepKind(Generic[Options]):
    """The registry entry of a step.

    Attributes:
        config: class of the options.
        run: writes the child artifact at the given path, atomically. It raises TrainingError if the options do not fit
            the parent, such as more heads than it has, and names the option.
    """

    config: type[Options]
    run: Callable[[Options, Model, Path, Work], Outcome]


AnyStepKind = StepKind[Any]
