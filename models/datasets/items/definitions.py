"""Item features for a table, from the roles of its columns as ``rankway new`` finds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.datasets.files.attribute_roles import attributes_of, guess_attributes
from models.datasets.files.attributes import POSITION
from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import profile_of, sample_of
from models.datasets.files.roles import Guess
from models.datasets.files.tables import Table
from models.features.definition import Feature, FeatureSet


@dataclass(frozen=True)
class Inferred:
    """Definitions that fit a table.

    Attributes:
        guesses: the role of each column.
        renamed: columns of the table by feature, if the names differ.
        position: the columns with latitude and longitude.
        texts: text columns.
        left_out: categories, which have no feature.
    """

    features: FeatureSet
    guesses: Sequence[Guess]
    renamed: Mapping[str, str]
    position: tuple[str, str] | None
    texts: Sequence[str]
    left_out: Sequence[str]


def inferred(table: Table, item_id: str, bad: BadRows) -> Inferred:
    """Return definitions for the numbers, vectors and positions of a table, from a sample.

    Raises:
        ArtifactError: the table cannot be read, or has no such column.
    """
    sample = sample_of(table, bad)
    profiles = [profile_of(name, sample.column(name)) for name in sample.column_names]
    guesses = guess_attributes(profiles, "items", item_id, {"id": [item_id]})
    config = attributes_of(guesses, profiles, "items")
    widths = {profile.name: profile.vector for profile in profiles}
    columns = {name: one.column or name for name, one in config.features.items()}
    features = [
        Feature(name=name, group="item", shape=(widths[columns[name]],) if one.kind == "vector" else ())
        for name, one in config.features.items()
        if one.kind != "category"
    ]
    if config.position is not None:
        lat, lon = (np.asarray(sample.column(name).cast("float64").to_numpy()) for name in config.position)
        middle = (float(np.nanmedian(lat)), float(np.nanmedian(lon)))
        features.append(Feature(name=POSITION, group="item", shape=(2,)))
        features.append(_place_of_requests(middle))
    kept = {feature.name for feature in features}
    return Inferred(
        features=FeatureSet(features=tuple(features)),
        guesses=guesses,
        renamed={name: column for name, column in columns.items() if name != column and name in kept},
        position=config.position,
        texts=config.texts,
        left_out=[columns[name] for name, one in config.features.items() if one.kind == "category"],
    )


def _place_of_requests(middle: tuple[float, float]) -> Feature:
    return Feature(
        name=POSITION,
        group="context",
        shape=(2,),
        default=middle,
        minimum=(-90.0, -180.0),
        maximum=(90.0, 180.0),
        description="where the user is: latitude and longitude in degrees. Default: the middle of the items",
    )
