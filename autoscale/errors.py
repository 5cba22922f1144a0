"""Errors of the autoscale package; all are the caller's to mend (command line: exit 2).

AutoscaleError
├── SpecError       a pipeline as described cannot be scaled or simulated
├── ProfileError    a measured profile is missing, damaged or of something else
├── TraceError      a trace of arrivals cannot be used
└── PolicyError     a policy's options contradict one another or the pipeline
"""


class AutoscaleError(Exception):
    """Root of the package's errors."""


class SpecError(AutoscaleError):
    """A pipeline as described cannot be scaled or simulated."""


class ProfileError(AutoscaleError):
    """A measured profile is missing, damaged or of something else."""


class TraceError(AutoscaleError):
    """A trace of arrivals cannot be used."""


class PolicyError(AutoscaleError):
    """A policy's options contradict one another or the pipeline."""
