"""The hyper ranker: options and module."""

from models.architectures.hyper_ranker import HyperRanker
from models.architectures.kind import ArchitectureKind
from models.architectures.options import HyperRankerOptions

ARCHITECTURE = ArchitectureKind(config=HyperRankerOptions, build=HyperRanker)
