"""The history ranker: options and module."""

from models.architectures.history_ranker import HistoryRanker
from models.architectures.kind import ArchitectureKind
from models.architectures.options import HistoryRankerOptions

ARCHITECTURE = ArchitectureKind(config=HistoryRankerOptions, build=HistoryRanker)
