"""One pipeline rank: loads its own layers, and passes activations from the previous to the next rank.

Every message ends with a number: 0, or 1 plus the rank that failed. So a batch that one rank cannot execute still
passes all later ranks, and the last rank still sends its result to rank 0. The ranks stay in step, and the group can
serve the next batch.
"""

import logging
from itertools import product
from math import prod
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import init_empty_weights
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed import ProcessGroup

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError, BatchFailure, OutOfMemory, RuntimeFailure
from models.runtimes.dispatch.runtime import refuse_others
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.pipeline import build_stages
from models.runtimes.pipeline.base import RankStages, Schedule
from models.runtimes.pipeline.cutting import MOST_ROUNDS, Cutting
from models.runtimes.pipeline.messages import messages_of
from models.runtimes.pytorch.built_module import built_module
from models.runtimes.pytorch.eager import FAULTS, failure, misfit
from models.runtimes.pytorch.reduced_precision import arithmetic_of, narrowed_dtypes
from models.signature import Inputs

logger = logging.getLogger("ray.serve")


class PipelineRuntime:
    """One pipeline rank. All ranks call ``run`` with the same inputs. Only rank 0 returns the scores.

    Attributes:
        messages: the activations from the previous rank and to the next rank.
    """

    def __init__(self, path: Path, artifact: Artifact, config: AccelerateConfig, group: ProcessGroup) -> None:
        """Load this rank's layers from the weights at ``path``. The ranks need not load at the same time.

        Raises:
            RuntimeFailure: the weights cannot be read, or the model cannot be cut into this number of stages.
        """
        torch.set_num_threads(config.threads)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._rank, self._ranks = dist.get_rank(group), dist.get_world_size(group)
        try:
            with init_empty_weights(include_buffers=False):  # computed buffers are not in the file
                module = built_module(artifact).eval().requires_grad_(False)
            # NCCL executes the messages between two ranks in order. In several rounds, messages in opposite directions
            # could block each other.
            most_rounds = MOST_ROUNDS if self._device.type == "cpu" else 1
            self._stages = _stages(module, artifact, self._rank, self._ranks, most_rounds)
            _load(module, path, self._stages, config, self._device)
        except (ArtifactError, SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise misfit(path, artifact, error) from error
        self.messages = messages_of(group, self._device)
        self._cutting = Cutting(self._ranks, self._stages.rounds, config.micro_batches)
        self._arithmetic = arithmetic_of(config.dtype, self._device.type)
        self._output = artifact.signature.outputs[0].name

    def run(self, inputs: Inputs) -> Inputs:
        """Execute this rank's part of a batch.

        Raises:
            BatchFailure: a rank could not execute its part, and all ranks have been told.
            OutOfMemory: this rank has too little memory for the batch.
            RuntimeFailure: a rank has ended or does not answer.
        """
        with torch.inference_mode(), self._arithmetic:
            try:
                tensors = {name: torch.from_numpy(each).to(self._device) for name, each in inputs.items()}
                schedule = self._stages.schedule(tensors, self._cutting)
            except FAULTS as error:  # all ranks fail in the same way
                raise _as_batch_failure(failure(inputs, error)) from error
            try:
                scores, failed = self._run(inputs, schedule)
                self.messages.finish()
            except RuntimeError as error:  # the base class of torch.distributed's errors
                raise RuntimeFailure(f"a rank of the pipeline ended or does not answer: {error}") from error
        if failed:
            raise BatchFailure(f"rank {failed - 1} failed on its part of a batch; see its log")
        return {self._output: scores.cpu().numpy()}

    def _run(self, inputs: Inputs, schedule: Schedule) -> tuple[Tensor, int]:
        """Run all parts on this rank, in every round all parts in turn.

        After a failure, the ranks only exchange messages.

        Returns:
            The scores, in rank 0 only, and 0 or 1 plus the rank that failed.
        """
        rounds, is_last_rank = range(self._stages.rounds), self._rank + 1 == self._ranks
        counts = [prod(part.shape) for part in schedule.parts]
        expected = counts * (len(rounds) - (self._rank == 0))
        self.messages.expect(expected if self._rank else [*expected, prod(schedule.shape)])
        scores: list[Tensor] = []
        failed = 0
        for round_, part in product(rounds, schedule.parts):
            received = None
            if self._rank or round_:
                values, reported = self.messages.receive()
                failed = failed or reported
                received = None if failed else values.view(part.shape)
            outgoing = None
            if not failed:
                try:
                    outgoing = part.work(round_, received)
                except FAULTS as error:
                    logger.warning("%s", _as_batch_failure(failure(inputs, error)))
                    failed = 1 + self._rank
            if not is_last_rank or round_ != rounds[-1]:
                self.messages.send(outgoing, prod(part.shape), failed)
            elif outgoing is not None:
                scores.append(outgoing)
        if is_last_rank:
            result = None if failed else torch.cat(scores, dim=schedule.axis)
            self.messages.send(result, prod(schedule.shape), failed)
        if self._rank:
            return torch.empty(0), failed
        values, reported = self.messages.receive()
        failed = failed or reported
        return values if failed else values.view(schedule.shape), failed


def _stages(module: Architecture, artifact: Artifact, rank: int, ranks: int, most_rounds: int) -> RankStages:
    """Return one rank's stages.

    Raises:
        RuntimeFailure: the model cannot be cut into this number of stages.
    """
    try:
        return build_stages(module, artifact.signature, rank, ranks, most_rounds)
    except ValueError as error:
        raise RuntimeFailure(f"{artifact.name} cannot be a pipeline of ranks: {error}") from error


def _load(
    module: Architecture, path: Path, stages: RankStages, config: AccelerateConfig, device: torch.device
) -> None:
    """Load this stage's tensors into the module. The other tensors take no memory.

    Raises:
        ValueError: the file and the module have different tensors.
    """
    dtypes = narrowed_dtypes(module, config.dtype)
    with safe_open(path, framework="pt") as file:
        refuse_others(file, module.state_dict())
        own = {
            name: file.get_tensor(name).to(device, dtype, copy=True)
            for name, dtype in dtypes.items()
            if stages.owns(name)
        }
    module.load_state_dict(own, strict=False, assign=True)
    stages.ready()


def _as_batch_failure(error: RuntimeFailure) -> RuntimeFailure:
    """Turn a batch's error into a BatchFailure, the kind of error that all ranks are told of.

    Raises:
        OutOfMemory: ``error`` is an OutOfMemory. The other ranks are not told, and this rank ends.
    """
    if isinstance(error, OutOfMemory):
        raise error
    return BatchFailure(str(error))
