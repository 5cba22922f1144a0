"""Fits the constants of a module's encoders to training lists."""

import numpy as np

from models.architectures.base import Architecture
from models.training.examples.lists import Lists

_LISTS = 4000
"""Maximum number of training lists to which the constants are fitted."""


def standardise(module: Architecture, train: Lists, seed: int) -> None:
    """Fit the constants to training lists that are drawn with ``seed``."""
    sample = train.step(np.random.default_rng(seed).permutation(len(train))[:_LISTS])
    module.standardise({**sample.inputs, "present": sample.present})
