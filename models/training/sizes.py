"""Fills in what the YAML leaves out: the shapes of the features that a model is to read."""

from collections.abc import Iterable

from models.architectures.options import HistoryRankerOptions, ListwiseOptions
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.training.config import RankerTraining, RerankerTraining


def ranker_options(
    config: RankerTraining, features: FeatureSet, catalogue: Catalogue
) -> HistoryRankerOptions:
    """Give the architecture's options.

    Raises:
        TrainingError: a named feature or column does not exist.
    """
    user = {feature.name: feature for feature in features.group("user")}
    named = [config.history, *(column.name for column in config.history_values)]
    named += [] if config.profile is None else [config.profile]
    _expect("user feature", named, user)
    _expect_context(
        [*(c.name for c in config.context), *([config.position] if config.position else [])], features
    )
    _expect("catalogue column", [config.start] if config.start else [], catalogue.columns)
    return HistoryRankerOptions(
        **config.model_dump(exclude={"items", "profile", "fit"}),
        items=_shapes(config.items, catalogue),
        profile=None if config.profile is None else (config.profile, user[config.profile].shape),
    )


def listwise_options(config: RerankerTraining, features: FeatureSet, catalogue: Catalogue) -> ListwiseOptions:
    """Give the architecture's options.

    Raises:
        TrainingError: a named feature or column does not exist.
    """
    _expect_context([column.name for column in config.context], features)
    return ListwiseOptions(
        **config.model_dump(exclude={"items", "fit"}), items=_shapes(config.items, catalogue)
    )


def _shapes(names: Iterable[str], catalogue: Catalogue) -> dict[str, tuple[int, ...]]:
    names = list(names)
    _expect("catalogue column", names, catalogue.columns)
    return {name: tuple(catalogue.columns[name].shape[1:]) for name in names}


def _expect_context(names: Iterable[str], features: FeatureSet) -> None:
    _expect("context feature", names, [feature.name for feature in features.group("context")])


def _expect(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise TrainingError(f"training: there is no {kind} {name!r}; name one of {', '.join(known)}")
