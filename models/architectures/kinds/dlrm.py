"""DLRM: options and module."""

from models.architectures.dlrm import Dlrm
from models.architectures.kind import ArchitectureKind
from models.architectures.options import DlrmOptions

ARCHITECTURE = ArchitectureKind(config=DlrmOptions, build=Dlrm)
