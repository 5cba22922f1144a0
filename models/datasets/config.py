"""The ``training.events`` part of a pipeline's YAML: the event log for training, and its split."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.datasets.attribute_config import AttributesConfig
from models.datasets.shown_config import ImpressionsConfig, Relevance
from models.datasets.time_format import TimeFormat

EventSet = Literal["movielens-100k", "online-retail-2"]


class EventFiles(BaseModel):
    """Files of a user: CSV, Parquet or JSON lines. Each is a file, a folder of files, or a URL that fsspec opens.

    Attributes:
        events: one row for each event.
        impressions: lists that were shown: one row for each shown item, or for each list.
        items: one row for each item.
        users: one row for each user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: str | None = None
    impressions: str | None = None
    items: str | None = None
    users: str | None = None

    @property
    def first(self) -> str | None:
        """The location with the choices of users, or else the items."""
        return self.events or self.impressions or self.items


class EventColumns(BaseModel):
    """The columns of the events, by role.

    Attributes:
        kind: the column with the kind of event, such as "click".
        value: a number, such as a rating or a quantity. Without it, every event has the value 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    item: str
    time: str
    kind: str | None = None
    value: str | None = None


class EventsConfig(BaseModel):
    """An event log and its global temporal split. The log is a public set, or the user's files.

    Attributes:
        set: a public set.
        files: the user's files.
        columns: the columns of the events.
        impressions: the columns of the impressions.
        time: how times are written.
        kinds: relevance by kind of event, from 0 to 1. Events of other kinds are left out. Empty: all events have the
            relevance 1.
        items: the columns of the items.
        users: the columns of the users.
        merge: the value of an event that is in the files several times: the sum of its values, or the last one.
        skip_bad: leave out rows that cannot be read, instead of refusing the files.
        max_lists: maximum number of lists in each split, spaced evenly over time. None keeps all.
        train_share: share of events in the training period, which comes first.
        valid_share: share of events in the validation period. The rest is the test period.
        history: maximum number of distinct items in a user's history. The newest are used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: EventSet | None = None
    files: EventFiles | None = None
    columns: EventColumns | None = None
    impressions: ImpressionsConfig | None = None
    time: TimeFormat = TimeFormat()
    kinds: dict[str, Relevance] = Field(default_factory=dict)
    items: AttributesConfig | None = None
    users: AttributesConfig | None = None
    merge: Literal["sum", "last"] = "sum"
    skip_bad: bool = False
    max_lists: int | None = Field(default=None, ge=2)
    train_share: float = Field(default=0.8, gt=0, lt=1)
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    history: int = Field(default=100, ge=1, le=10_000)

    @property
    def name(self) -> str:
        """The name of the log: that of the public set, or the location of the files."""
        return self.set or (self.files.first if self.files is not None else None) or ""

    @property
    def has_lists(self) -> bool:
        """Whether there are lists for training. Without events and impressions there is a catalogue only."""
        return self.files is None or self.files.events is not None or self.files.impressions is not None

    @model_validator(mode="after")
    def _a_test_period_is_left(self) -> Self:
        if self.train_share + self.valid_share >= 1.0:
            raise ValueError(
                f"train_share, valid_share: must add up to less than 1, to leave a test period, got "
                f"{self.train_share} and "
                f"{self.valid_share}; lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _events_come_from_one_place(self) -> Self:
        if (self.set is None) == (self.files is None):
            raise ValueError("needs either set or files; name a public set, or your files")
        if self.files is None:
            parts = ("columns", "impressions", "items", "users")
            given = [name for name in parts if getattr(self, name) is not None]
            if given or self.kinds:
                raise ValueError(
                    f"{', '.join(given) or 'kinds'}: is only for files, got set; remove one of them"
                )
            return self
        if self.files.first is None:
            raise ValueError("files: needs events, impressions or items; name one of them")
        if self.files.events is not None and self.columns is None:
            raise ValueError("columns: missing; name the columns user, item and time of the events")
        for name in ("columns", "impressions", "items", "users"):
            of = "events" if name == "columns" else name
            if (getattr(self, name) is None) != (getattr(self.files, of) is None):
                raise ValueError(
                    f"{name} and files.{of}: must be set together; add the other, or remove both"
                )
        if self.kinds and (self.columns is None or self.columns.kind is None):
            raise ValueError("kinds: needs columns.kind; name the column, or remove kinds")
        if self.kinds and not any(self.kinds.values()):
            raise ValueError("kinds: every relevance is 0; set one above 0")
        if self.users is not None and (
            self.users.position or self.users.texts or self.users.embed or self.users.popularity
        ):
            raise ValueError("users: position, texts, embed and popularity are only for items; remove them")
        if self.has_lists and self.items is not None and self.items.popularity:
            raise ValueError(
                "items.popularity: is only for files without events and impressions, which tell what is popular; "
                "remove it, or make the column a feature"
            )
        return self
