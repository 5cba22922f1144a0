"""The autoscale package's errors. The user can correct all of them (exit code 2 on the command line).

AutoscaleError
├── SpecError       a pipeline as described cannot be scaled or simulated
├── ProfileError    a measured profile is missing, damaged or belongs to another unit
├── TraceError      a trace of arrivals cannot be used
└── PolicyError     a policy's options contradict one another or the pipeline
"""


class AutoscaleError(Exception):
    """Root of the package's errors."""


class SpecError(AutoscaleError):
    """A pipeline as described cannot be scaled or simulated."""


class ProfileError(AutoscaleError):
    """A measured profile is missing, damaged or belongs to another unit."""


class TraceError(AutoscaleError):
    """A trace of arrivals cannot be used."""


class PolicyError(AutoscaleError):
    """A policy's options contradict one another or the pipeline."""
