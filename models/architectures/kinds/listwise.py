"""The listwise reranker: options and module."""

from models.architectures.kind import ArchitectureKind
from models.architectures.listwise import ListwiseReranker
from models.architectures.options import ListwiseOptions

ARCHITECTURE = ArchitectureKind(config=ListwiseOptions, build=ListwiseReranker)
