"""The interface of a runtime, the options common to all runtimes, and the descriptor of a kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from models.artifact import Artifact
from models.runtimes.weight_sizes import MIB, Weights
from models.signature import Inputs

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from models.runtimes.split_history import CutRuntime

Shards = Annotated[int, Field(ge=1, le=64)]
Transport = Literal["shared_memory", "gloo"]


class RuntimeOptions(BaseModel):
    """Options common to all runtimes.

    Attributes:
        kind: the name of the runtime.
        threads: CPU threads of one call. One thread per replica and more replicas give a higher throughput.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    threads: int = Field(default=1, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """Whether the runtime computes in fewer bits than the model was exported with."""
        return False


class GroupOptions(RuntimeOptions):
    """Options of a runtime that splits one model over the processes of a shard group.

    ``threads`` applies to each rank.

    Attributes:
        shards: number of ranks, including the replica itself.
        placement: PACK puts the ranks on as few nodes as possible, SPREAD on as many as possible.
        timeout_s: the longest time that a batch waits for a rank. A group that exceeds it is broken.
        transport: the transport between ranks on CPUs. None chooses shared memory if all ranks are on one x86-64
            host, else gloo.
    """

    shards: Shards = 1
    placement: Literal["PACK", "SPREAD"] = "PACK"
    timeout_s: float = Field(default=2.0, ge=0.1, le=600)
    transport: Transport | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether a shard group runs the model. A group can have a single rank."""
        return self.shards > 1


def group_of(config: RuntimeOptions) -> GroupOptions | None:
    """Return the options of the shard group that runs the model, or None if one process runs it."""
    return config if isinstance(config, GroupOptions) and config.is_grouped else None


class Runtime(Protocol):
    """A loaded model. Calls are synchronous, from one thread at a time."""

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the model and return its outputs by name.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """The weights that one rank of a runtime holds in memory.

    Attributes:
        rank_bytes: bytes of weights.
        why: the explanation, in words.
    """

    rank_bytes: int
    why: str


def held_whole(config: RuntimeOptions, weights: Weights) -> Held:
    """Return the weights that a single process holds: all of them.

    A narrow runtime halves the products in the layers.
    """
    narrowed = weights.split_bytes // 2 if config.is_narrow else 0
    why = f"as configured; {weights.whole_bytes / MIB:,.2f} MiB of weights"
    return Held(weights.whole_bytes - narrowed, why)


Options = TypeVar("Options", bound=RuntimeOptions)


@dataclass(frozen=True, slots=True)
class RuntimeKind(Generic[Options]):
    """The descriptor of one kind of runtime.

    The module of a descriptor is imported by every process that reads a configuration with this kind. So it must not
    import the engine. Only the functions below import it. If a module is missing there, the error names ``extra``.

    Attributes:
        config: the class of the options.
        suffix: suffix of the artifact's file that the functions get. None: they get the folder.
        load: loads the model into this process.
        load_rank: loads one rank's part of the model, in a process of the group.
        load_cut: loads the model cut in two after the encoded history.
        held: returns the weights that a rank holds.
        check: raises ``RuntimeFailure`` if the options cannot be used here. ``rankway check`` calls it.
        packages: packages that the engine imports besides the dependencies of the core.
        extra: the extra of rankway that installs these packages.
    """

    config: type[Options]
    suffix: str | None = None
    load: Callable[[Path, Artifact, Options], Runtime] | None = None
    load_rank: "Callable[[Path, Artifact, Options, ProcessGroup], Runtime] | None" = None
    load_cut: "Callable[[Path, Artifact, Options], CutRuntime] | None" = None
    held: Callable[[Options, Weights], Held] = held_whole
    check: Callable[[Options], None] | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None


AnyRuntimeKind = RuntimeKind[Any]
