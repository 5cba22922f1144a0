"""How times are written in a user's files."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

TimeUnit = Literal["s", "ms", "us", "ns"]


class TimeFormat(BaseModel):
    """How times are written.

    Attributes:
        unit: the unit of times that are numbers since 1970.
        pattern: the strptime pattern of times that are texts. None means ISO 8601.
        zone: the time zone of times without one, such as UTC or Europe/Helsinki. None refuses such times.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: TimeUnit = "s"
    pattern: str | None = None
    zone: str | None = None
