"""Pipeline parallelism (Huang et al. 2019, arXiv:1811.06965): ranks run a model's layers in turn.

A rank loads its own layers alone. What it computes goes to the next rank, point to point; a batch is cut into
micro-batches, so that a rank works on one while the next rank has the one before it. ``stage_of`` is the factory of
what a rank runs; ``runtime`` moves activations between ranks.
"""

from models.architectures.base import Architecture
from models.runtimes.pipeline.base import PipelineStage
from models.signature import Signature


def stage_of(module: Architecture, signature: Signature, rank: int, ranks: int) -> PipelineStage:
    """Give one rank's stage of a module that has no weights yet.

    Raises:
        ValueError: it has fewer layers than there are ranks, or none that are known to follow one another.
    """
    from models.architectures.history_ranker import HistoryRanker
    from models.architectures.sequence_classifier import SequenceClassifier

    if isinstance(module, HistoryRanker):
        from models.runtimes.pipeline.history import HistoryStage

        return HistoryStage(module, signature, rank, ranks)
    if isinstance(module, SequenceClassifier):
        from models.runtimes.pipeline.hugging_face import HuggingFaceStage

        return HuggingFaceStage(module, rank, ranks)
    raise ValueError("the model has no layers that a pipeline can share out; use runtime.kind: onnx or torch")
