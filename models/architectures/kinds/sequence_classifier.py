"""A Hugging Face sequence classifier: options and module."""

from models.architectures.kind import ArchitectureKind
from models.architectures.options import SequenceClassifierOptions
from models.architectures.sequence_classifier import SequenceClassifier

ARCHITECTURE = ArchitectureKind(config=SequenceClassifierOptions, build=SequenceClassifier)
