"""The runtime interface, the options common to all runtimes, and the descriptor of a runtime kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Protocol, TypeVar

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.artifact import Artifact
from models.runtimes.weight_sizes import MIB, Weights
from models.signature import Inputs, Signature

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Shards = Annotated[int, Field(ge=1, le=64)]
Transport = Literal["shared_memory", "gloo"]
MOST_INSTANCES = 64
"""The most instances of a model in a replica."""


class RuntimeOptions(BaseModel):
    """Options common to all runtimes.

    Attributes:
        kind: runtime name.
        threads: CPU threads per call. More replicas with one thread each give a higher throughput.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    threads: int = Field(default=1, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """Whether the runtime computes in fewer bits than the model was exported with."""
        return False

    @property
    def is_compiled_ahead(self) -> bool:
        """Whether ``rankway models compile`` must compile the model before the runtime can load it."""
        return False

    @property
    def max_instances(self) -> int:
        """The most threads that may call a loaded model at once. They share its weights."""
        return 1

    @property
    def more_instances(self) -> str:
        """The remedy if ``max_instances`` is too low."""
        return "set instances: 1, and use more replicas"

    def cores_of(self, instances: int) -> int:
        """Return the number of cores that this many concurrent calls of a model keep busy."""
        return instances * self.threads


class GroupOptions(RuntimeOptions):
    """Options for a runtime that splits one model over a shard group.

    ``threads`` applies to each rank.

    Attributes:
        shards: number of ranks, including the replica itself.
        placement: PACK puts the ranks on as few nodes as possible, SPREAD on as many as possible.
        timeout_s: maximum seconds that a batch waits for a rank. A group that exceeds this limit counts as broken.
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
    """Return the shard group's options, or None if one process runs the model."""
    return config if isinstance(config, GroupOptions) and config.is_grouped else None


class Runtime(Protocol):
    """A loaded model. Calls are synchronous, from as many threads at once as the options' ``max_instances``."""

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the model and return its outputs by name.

        Args:
            inputs: arrays by name, with at least one candidate. Single requests may have none.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...


class CutRuntime(Runtime, Protocol):
    """A model that is loaded as two graphs, so that encoded histories can be reused.

    Attributes:
        encode_signature: inputs for the first half.
        score_signature: inputs for the second half, without the encoded histories.
    """

    encode_signature: Signature
    score_signature: Signature

    def encode(self, inputs: Inputs) -> NDArray[Any]:
        """Return the encoded histories (B, T, ...) for the inputs in ``encode_signature``.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...

    def score(self, inputs: Inputs, encoded: NDArray[Any]) -> Inputs:
        """Return the outputs by name for the inputs in ``score_signature`` and the encoded histories.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """A model compiled ahead of time for this machine.

    Attributes:
        folder: its folder.
        is_new: False if it existed already.
    """

    folder: Path
    is_new: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The weights that one rank holds in memory, in bytes, with an explanation in words."""

    rank_bytes: int
    why: str


def held_whole(config: RuntimeOptions, weights: Weights) -> Held:
    """Return the weights that a single process holds: all of them.

    A narrow runtime halves the bytes of the layers' matrices.
    """
    narrowed = weights.split_bytes // 2 if config.is_narrow else 0
    why = f"as configured; {weights.whole_bytes / MIB:,.2f} MiB of weights"
    return Held(weights.whole_bytes - narrowed, why)


Options = TypeVar("Options", bound=RuntimeOptions)


@dataclass(frozen=True, slots=True)
class RuntimeKind(Generic[Options]):
    """Descriptor of one runtime kind.

    Every process that reads a configuration with this kind imports the descriptor's module. So that module must not
    import the engine, the library that executes models. Only the functions below import the engine. If one of its
    packages is missing then, the error names ``extra``.

    Attributes:
        config: class of the options.
        suffix: file suffix. The functions get the artifact's file with this suffix. None: they get the folder.
        load: loads the model into this process.
        load_rank: loads one rank's part of the model, in that rank's process.
        load_cut: loads the model cut in two after the encoded history.
        compile: compiles the model for this machine, if the options say ``is_compiled_ahead``, and keeps the result
            beside the artifact, where ``load`` finds it.
        held: returns the weights that a rank holds.
        check: raises ``RuntimeFailure`` if the options cannot be used here. ``rankway check`` calls it.
        packages: packages that the engine imports in addition to the core's dependencies.
        extra: rankway's extra that installs these packages.
    """

    config: type[Options]
    suffix: str | None = None
    load: Callable[[Path, Artifact, Options], Runtime] | None = None
    load_rank: "Callable[[Path, Artifact, Options, ProcessGroup], Runtime] | None" = None
    load_cut: Callable[[Path, Artifact, Options], CutRuntime] | None = None
    compile: Callable[[Path, Artifact, Options], Compiled] | None = None
    held: Callable[[Options, Weights], Held] = held_whole
    check: Callable[[Options], None] | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None


AnyRuntimeKind = RuntimeKind[Any]
