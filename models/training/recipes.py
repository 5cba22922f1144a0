"""The models of a pipeline that are fitted to lists: the ranker, and the models that learn from its scores."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from models.architectures.options import HistoryRankerOptions
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.training.config import DistilledTraining, RerankerTraining
from models.training.fit_config import FitConfig
from models.training.losses import LossFunction, distillation_loss, list_loss
from models.training.ranker_config import RankerTraining
from models.training.sizes import distilled_options, listwise_options, ranker_options
from models.training.splits import Labelled

Read = Callable[[str, int | None], Labelled]
"""Returns a split and its labels, given the split's name and the maximum number of lists."""


@dataclass(frozen=True)
class Recipe:
    """A model to train. Its options are computed and its lists are read when the training begins.

    Attributes:
        name: model name.
        root: artifact folder.
        config: the model's part of the configuration, for the lineage.
        fit: training options.
        options: computes the architecture options.
        loss_of: the loss.
        read: reads a split.
    """

    name: str
    root: Path
    config: BaseModel
    fit: FitConfig
    options: Callable[[], BaseModel]
    loss_of: LossFunction
    read: Read


def ranker_recipe(
    config: RankerTraining, root: Path, features: FeatureSet, catalogue: Catalogue, read: Read
) -> Recipe:
    """Return the recipe of the ranker, which learns from the labels."""
    return Recipe(
        name="ranker",
        root=root,
        config=config,
        fit=config.fit,
        options=lambda: ranker_options(config, features, catalogue),
        loss_of=partial(list_loss, loss=config.fit.loss),
        read=read,
    )


def reranker_recipe(
    config: RerankerTraining, root: Path, ranker: HistoryRankerOptions, catalogue: Catalogue, read: Read
) -> Recipe:
    """Return the recipe of the reranker, which learns from the labels and reads the ranker's scores."""
    return Recipe(
        name="reranker",
        root=root,
        config=config,
        fit=config.fit,
        options=lambda: listwise_options(config, ranker, catalogue),
        loss_of=partial(list_loss, loss=config.fit.loss),
        read=read,
    )


def distilled_recipe(
    config: DistilledTraining, root: Path, ranker: HistoryRankerOptions, read: Read
) -> Recipe:
    """Return the recipe of the distilled ranker, which learns from the labels and the ranker's scores."""
    return Recipe(
        name="distilled",
        root=root,
        config=config,
        fit=config.fit,
        options=lambda: distilled_options(config, ranker),
        loss_of=partial(distillation_loss, temperature=config.temperature, label_weight=config.label_weight),
        read=read,
    )
