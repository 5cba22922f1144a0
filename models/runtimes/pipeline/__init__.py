"""Pipeline parallelism (Huang et al. 2019, arXiv:1811.06965): each rank runs some consecutive layers.

A rank loads only its own layers, and sends its activations to the next rank. A batch is cut into micro-batches, so that
a rank works on one micro-batch while the next rank works on the previous one. ``stage_of`` builds a rank's stage.
``runtime`` moves activations between ranks.
"""

from models.architectures.base import Architecture
from models.runtimes.pipeline.base import PipelineStage
from models.signature import Signature


def stage_of(module: Architecture, signature: Signature, rank: int, ranks: int) -> PipelineStage:
    """Return one rank's stage.

    Args:
        module: the module, without weights.
        signature: the module's signature.
        rank: rank index.
        ranks: number of ranks.

    Raises:
        ValueError: the module has fewer layers than ranks, or its architecture is not supported.
    """
    from models.architectures.history_ranker import HistoryRanker
    from models.architectures.sequence_classifier import SequenceClassifier

    if isinstance(module, HistoryRanker):
        from models.runtimes.pipeline.history import HistoryStage

        return HistoryStage(module, signature, rank, ranks)
    if isinstance(module, SequenceClassifier):
        from models.runtimes.pipeline.hugging_face import HuggingFaceStage

        return HuggingFaceStage(module, rank, ranks)
    raise ValueError(
        "the model has no layers to divide among the ranks of a pipeline; use runtime.kind: onnx or torch"
    )
