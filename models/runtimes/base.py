"""What executes an artifact: the interface of a runtime, the options that all have, and the descriptor of a kind."""

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
    """threads: of one call, on the CPU. One thread a replica and more replicas serve more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    threads: int = Field(default=1, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """Whether it computes in fewer bits than the model was exported with."""
        return False


class GroupOptions(RuntimeOptions):
    """One model over the processes of a shard group; ``threads`` are a rank's.

    shards: ranks that hold the model, the replica itself among them. placement: PACK puts all ranks on as few nodes as
    can be, SPREAD on as many. timeout_s: what a batch waits for a rank at most; a group that had to is broken.
    transport: between ranks on CPUs. None chooses shared memory if all ranks are on one x86-64 host, else gloo.
    """

    shards: Shards = 1
    placement: Literal["PACK", "SPREAD"] = "PACK"
    timeout_s: float = Field(default=2.0, ge=0.1, le=600)
    transport: Transport | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether a group of so many ranks runs it, be it one of one."""
        return self.shards > 1


def group_of(config: RuntimeOptions) -> GroupOptions | None:
    """Give the options of the shard group that runs such a model, None where one process does."""
    return config if isinstance(config, GroupOptions) and config.is_grouped else None


class Runtime(Protocol):
    """A loaded model: synchronous, called from one thread at a time."""

    def run(self, inputs: Inputs) -> Inputs:
        """Give the outputs by name.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes of weights that one rank of a runtime holds in memory, and how they come about, in words."""

    rank_bytes: int
    why: str


def held_whole(config: RuntimeOptions, weights: Weights) -> Held:
    """Return what a runtime of one process holds: all weights."""
    narrowed = weights.split_bytes // 2 if config.is_narrow else 0
    why = f"as configured; {weights.whole_bytes / MIB:,.2f} MiB of weights"
    return Held(weights.whole_bytes - narrowed, why)


Options = TypeVar("Options", bound=RuntimeOptions)


@dataclass(frozen=True, slots=True)
class RuntimeKind(Generic[Options]):
    """The descriptor of one kind of runtime.

    A descriptor's module is imported wherever a configuration that names the kind is read, so it imports no engine:
    that is for the functions below. An ``ImportError`` of theirs is reported with ``extra``.

    config: the class of the options. suffix: of the artifact's file that it loads; None: it is given the folder.
    load: loads the model into this process. load_rank: loads one rank's part of it, in a process of that group.
    load_cut: loads it cut in two where it has encoded the history. held: the weights that a rank holds.
    check: raises ``RuntimeFailure`` if such options cannot be used here; ``rankway check`` calls it.
    packages: what the engine imports beside the core's dependencies. extra: the extra of rankway that installs them.
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
