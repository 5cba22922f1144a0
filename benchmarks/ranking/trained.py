"""Trained artifacts as rankings: the architecture with its weights, and the service's input assembly."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ranking.results import Ranking
from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.features.timelines import ItemTimelines
from models.ragged import RaggedBatch


def ranking_of(
    root: Path, catalogue: Catalogue, *, threads: int = 2, timelines: ItemTimelines | None = None
) -> Ranking:
    """Return the ranking by the artifact at ``root``. All signatures are supported.

    Raises:
        ArtifactError: there is no artifact. Train it first.
    """
    import torch
    from safetensors.torch import load_file

    from models.architectures import build_architecture
    from models.assembly import InputAssembler
    from models.training.examples.lists import Lists
    from models.training.export import SAFETENSORS
    from models.training.scoring import score

    artifact = Artifact.load(root)
    module = build_architecture(artifact.architecture)
    module.load_state_dict(load_file(root / SAFETENSORS))
    assembler = InputAssembler(artifact.signature, catalogue, whole_lists=True, timelines=timelines)

    def rank(batch: RaggedBatch) -> NDArray[np.float32]:
        torch.set_num_threads(threads)
        unread = np.zeros(batch.candidate_count, dtype=np.float32)
        return score(module, Lists(batch, unread, assembler))

    return rank
