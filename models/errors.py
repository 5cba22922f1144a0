"""Errors of the models package.

ModelError
├── DocumentError         a YAML file cannot be read
├── ArtifactError         an artifact, catalogue or data set on disk cannot be used
│   ├── FeatureMismatch   the data was made with other feature definitions
│   └── FolderBusy        another process is writing the folder
├── SignatureError        a model's declared inputs do not fit the pipeline's data
├── RuntimeFailure        the runtime could not load or execute the model
│   ├── BatchFailure      a rank failed on one batch, and all ranks continue with the next batch
│   └── OutOfMemory       this process has too little memory for a batch
├── MissingPackage        a package from an optional extra is not installed
├── GoldenMismatch        a loaded model returns other scores than at its export
├── CompressionError      a compression recipe has faults, or does not fit its pipeline
└── TrainingError         a model could not be trained on this data with this configuration

Every message names the field or file, the value and the remedy.
"""


class ModelError(Exception):
    """Root of the package's errors."""


class DocumentError(ModelError):
    """A YAML file is missing, or is not YAML."""


class ArtifactError(ModelError):
    """Something on disk is missing, is damaged or has another version."""


class FeatureMismatch(ArtifactError):
    """The feature definitions changed since the artifact was made."""


class FolderBusy(ArtifactError):
    """Another process was writing the folder until the wait timed out."""


class SignatureError(ModelError):
    """A model's declared inputs cannot be assembled from this pipeline's data."""


class RuntimeFailure(ModelError):
    """A runtime could not load or execute a model."""


class BatchFailure(RuntimeFailure):
    """A rank could not execute its part of a batch. All ranks continue with the next batch."""


class OutOfMemory(RuntimeFailure):
    """There was not enough memory for a batch."""


class MissingPackage(ModelError):
    """A package from an optional extra is not installed."""


class GoldenMismatch(ModelError):
    """A loaded model returns other scores for its golden requests than at its export."""


class TrainingError(ModelError):
    """Training cannot begin, or its loss became NaN or infinite."""


class CompressionError(ModelError):
    """A compression recipe has faults, or does not fit its pipeline."""
