"""Errors of the models package.

ModelError
├── ArtifactError         an artifact, catalogue or data set on disk cannot be used
│   ├── FeatureMismatch   it was made with other feature definitions
│   └── FolderBusy        another process is writing it
├── SignatureError        a model's declared inputs do not fit what it is given
├── RuntimeFailure        the runtime could not load or execute the model
│   ├── BatchFailure      on one batch, in some rank of a pipeline; the others know, and wait for the next
│   └── OutOfMemory       this process has no memory for it
├── MissingPackage        a package that an extra of the installation brings is not installed
├── GoldenMismatch        a loaded model gives other scores than at its export
└── TrainingError         a model could not be trained on this data with this configuration

Every message names the thing, the value and the remedy.
"""


class ModelError(Exception):
    """Root of the package's errors."""


class ArtifactError(ModelError):
    """Something on disk is missing, damaged or of another version."""


class FeatureMismatch(ArtifactError):
    """The feature definitions changed since the artifact was made."""


class FolderBusy(ArtifactError):
    """Another process has been writing the folder for longer than one waits for it."""


class SignatureError(ModelError):
    """A model's declared inputs cannot be assembled from this pipeline's data."""


class RuntimeFailure(ModelError):
    """A runtime could not load or execute a model."""


class BatchFailure(RuntimeFailure):
    """A rank of a pipeline could not execute its part of a batch, of which all ranks know: they are in step."""


class OutOfMemory(RuntimeFailure):
    """Memory for a batch could not be had."""


class MissingPackage(ModelError):
    """A package that an extra of the installation brings is not installed."""


class GoldenMismatch(ModelError):
    """A loaded model gives other scores for its golden requests than at its export."""


class TrainingError(ModelError):
    """Training cannot begin, or its loss is no longer a number."""
