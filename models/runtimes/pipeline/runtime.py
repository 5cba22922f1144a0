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

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError, BatchFailure, OutOfMemory, RuntimeFailure
from models.runtimes.accelerate import refuse_others
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.pipeline import build_stages
from models.runtimes.pipeline.base import RankStages, Schedule
from models.runtimes.reduced_precision import arithmetic_of, narrowed_dtypes
from models.runtimes.torch import FAULTS, failure, misfit, refuse_unbuildable
from models.signature import Inputs

logger = logging.getLogger("ray.serve")


class PipelineRuntime:
    """One pipeline rank. All ranks call ``run`` with the same inputs. Only rank 0 returns the scores."""

    def __init__(self, path: Path, artifact: Artifact, config: AccelerateConfig, group: ProcessGroup) -> None:
        """Load this rank's layers from the weights at ``path``. The ranks need not load at the same time.

        Raises:
            RuntimeFailure: the weights cannot be read, or the model cannot be cut into this number of stages.
        """
        torch.set_num_threads(config.threads)
        refuse_unbuildable(artifact)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._rank, self._ranks, self._group = dist.get_rank(group), dist.get_world_size(group), group
        try:
            with init_empty_weights(include_buffers=False):  # computed buffers are not in the file
                module = build_architecture(artifact.architecture).eval().requires_grad_(False)
            self._stages = build_stages(module, artifact.signature, self._rank, self._ranks)
            _load(module, path, self._stages, config, self._device)
        except (ArtifactError, SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise misfit(path, artifact, error) from error
        self._micro_batches = config.micro_batches
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
                schedule = self._stages.schedule(tensors, self._micro_batches)
            except FAULTS as error:  # all ranks fail in the same way
                raise _as_batch_failure(failure(inputs, error)) from error
            links = _Links(self._group, self._rank, self._device)
            try:
                scores = self._run(inputs, schedule, links)
                links.finish()
            except RuntimeError as error:  # the base class of torch.distributed's errors
                raise RuntimeFailure(f"a rank of the pipeline ended or does not answer: {error}") from error
        if links.failed:
            raise BatchFailure(f"rank {links.failed - 1} failed on its part of a batch; see its log")
        return {self._output: scores.cpu().numpy()}

    def _run(self, inputs: Inputs, schedule: Schedule, links: "_Links") -> Tensor:
        """Run all parts on this rank. Rank 0 returns the scores, which the last rank sends it.

        After a failure, the ranks only exchange messages.
        """
        scores: list[Tensor] = []
        rounds, count = self._stages.rounds, len(schedule.parts)
        is_last_rank = self._rank + 1 == self._ranks
        for round_, (number, part) in product(range(rounds), enumerate(schedule.parts)):
            step = round_ * count + number
            received = None
            if self._rank or round_:
                received = links.receive((self._rank - 1) % self._ranks, step, part.shape)
            outgoing = None
            if not links.failed:
                try:
                    outgoing = part.work(round_, received)
                except FAULTS as error:
                    logger.warning("%s", _as_batch_failure(failure(inputs, error)))
                    links.failed = 1 + self._rank
            if not is_last_rank:
                links.send(self._rank + 1, step, part.shape, outgoing)
            elif round_ + 1 < rounds:
                links.send(0, step + count, part.shape, outgoing)
            elif outgoing is not None:
                scores.append(outgoing)
        end = rounds * count
        if is_last_rank:
            links.send(0, end, schedule.shape, None if links.failed else torch.cat(scores, dim=schedule.axis))
        return torch.empty(0) if self._rank else links.receive(self._ranks - 1, end, schedule.shape)


class _Links:
    """The messages for one batch.

    Attributes:
        failed: 1 plus the rank that failed, or 0.
    """

    def __init__(self, group: ProcessGroup, rank: int, device: torch.device) -> None:
        self.failed = 0
        self._group, self._rank, self._device = group, rank, device
        self._sent: list[tuple[dist.Work, Tensor]] = []

    def send(self, rank: int, tag: int, shape: tuple[int, ...], activations: Tensor | None) -> None:
        """Start to send activations to a rank. Without activations, the message only reports the failed rank."""
        message = torch.empty(prod(shape) + 1, device=self._device)
        if activations is not None:
            message[:-1].copy_(activations.reshape(-1))
        message[-1] = self.failed
        work = dist.isend(message, group=self._group, group_dst=rank, tag=tag)
        assert work is not None, "both are in the group"
        self._sent.append((work, message))

    def receive(self, rank: int, tag: int, shape: tuple[int, ...]) -> Tensor:
        """Wait for a rank's activations, which are meaningless if ``failed`` is not 0 afterwards."""
        message = torch.empty(prod(shape) + 1, device=self._device)
        dist.recv(message, group=self._group, group_src=rank, tag=tag)
        self.failed = self.failed or int(message[-1])
        return message[:-1].view(shape)

    def finish(self) -> None:
        """Wait until all messages are sent."""
        for work, _ in self._sent:
            work.wait()


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
