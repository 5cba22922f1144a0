"""World sizes. There are three presets: `full` for serving, `demo` for the world that ships, `tiny` for tests."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PresetName = Literal["full", "demo", "tiny"]


class WorldConfig(BaseModel):
    """World sizes and the random seed. The same config and data files give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=20240501, ge=0)
    routes: int = Field(default=8000, ge=10, description="distinct routes in the catalogue")
    loop_share: float = Field(
        default=0.5, ge=0.0, le=1.0, description="share of routes that return to their start"
    )
    anchors: int = Field(default=900, ge=8, description="junctions at which routes may start, turn or end")
    proposals: int = Field(
        default=100_000, ge=100, description="routes tried before near-duplicates are dropped"
    )
    max_jaccard: float = Field(
        default=0.7, gt=0.0, lt=1.0, description="maximum Jaccard overlap between two routes, on a 25 m grid"
    )
    users: int = Field(default=20_000, ge=2)
    lists_per_user: float = Field(default=20.0, ge=4.0, description="shown lists per user, on average")
    min_list: int = Field(default=20, ge=2)
    max_list: int = Field(default=50, ge=2)
    days: int = Field(default=365, ge=10, description="days in the simulated period")
    valid_days: int = Field(default=28, ge=1, description="days at the end that are held out")
    news_interval_h: float = Field(
        default=60.0, gt=0.0, description="mean hours between two pieces of news in a cell"
    )


PRESETS: dict[PresetName, WorldConfig] = {
    "full": WorldConfig(),
    "demo": WorldConfig(
        routes=600,
        anchors=300,
        proposals=24_000,
        users=1500,
        days=120,
        valid_days=14,
    ),
    "tiny": WorldConfig(
        routes=300,
        anchors=150,
        proposals=12_000,
        users=100,
        lists_per_user=12.0,
        days=70,
        valid_days=14,
        news_interval_h=400.0,
    ),
}
