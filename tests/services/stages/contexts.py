"""A layout of context features of several kinds."""

from models.features.definition import Feature, FeatureSet
from services.stages.context import ContextLayout

LAYOUT = ContextLayout(
    FeatureSet(
        features=(
            Feature(
                name="position",
                group="context",
                dtype="float64",
                shape=(2,),
                minimum=(-90.0, -180.0),
                maximum=(90.0, 180.0),
            ),
            Feature(name="shift", group="context", default=7.0),
            Feature(name="hour", group="context", dtype="int32", minimum=0, maximum=23),
            Feature(name="key", group="context", dtype="int64"),
            Feature(name="bias", group="user"),
        )
    )
)
