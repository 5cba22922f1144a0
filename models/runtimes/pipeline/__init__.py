"""Pipeline parallelism (Huang et al. 2019, arXiv:1811.06965): each rank runs some of the layers.

A rank loads only its own layers, and sends its activations to the next rank. A batch is cut into micro-batches, so that
a rank works on one micro-batch while the next rank works on the previous one.

The layers are cut into more stages than ranks. A micro-batch passes the ranks in several rounds, and each rank runs one
stage in each round, as in Megatron's interleaved schedule (Narayanan et al. 2021, arXiv:2104.04473). At the start and
the end a rank then waits for a short stage, not for all layers of another rank.

``build_stages`` builds a rank's stages. ``runtime`` moves activations between ranks.
"""

from models.architectures.base import Architecture
from models.runtimes.pipeline.base import RankStages
from models.signature import Signature


def build_stages(
    module: Architecture, signature: Signature, rank: int, ranks: int, most_rounds: int
) -> RankStages:
    """Return one rank's stages.

    Args:
        module: the module, without weights.
        signature: the module's signature.
        rank: rank index.
        ranks: number of ranks.
        most_rounds: maximum number of stages for each rank.

    Raises:
        ValueError: the module has fewer layers than ranks, or its architecture is not supported.
    """
    from models.architectures.history_ranker import HistoryRanker
    from models.architectures.sequence_classifier import SequenceClassifier

    if isinstance(module, HistoryRanker):
        from models.runtimes.pipeline.history import HistoryStages

        return HistoryStages(module, signature, rank, ranks, most_rounds)
    if isinstance(module, SequenceClassifier):
        from models.runtimes.pipeline.hugging_face import HuggingFaceStages

        return HuggingFaceStages(module, rank, ranks, most_rounds)
    raise ValueError(
        "the model has no layers to divide among the ranks of a pipeline; use runtime.kind: onnx or torch"
    )
