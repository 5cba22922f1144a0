"""The pooled ranker: options and module."""

from models.architectures.kind import ArchitectureKind
from models.architectures.options import PooledRankerOptions
from models.architectures.pooled_ranker import PooledRanker

ARCHITECTURE = ArchitectureKind(config=PooledRankerOptions, build=PooledRanker)
