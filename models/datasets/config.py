"""The ``training.events`` part of a pipeline's YAML: the event log for training, and its split."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

EventSet = Literal["movielens-100k", "online-retail-2"]
TimeUnit = Literal["s", "ms", "us", "ns"]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Relevance = Annotated[float, Field(ge=0, le=1)]


class EventFiles(BaseModel):
    """Files of a user: CSV, Parquet or JSON lines. Each is a file, a folder of files, or a URL that fsspec opens.

    Attributes:
        events: one row for each event.
        items: one row for each item.
        users: one row for each user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: str
    items: str | None = None
    users: str | None = None


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


class AttributeConfig(BaseModel):
    """A feature that is read from a column of the items or users.

    Attributes:
        column: the column. None: its name is that of the feature.
        kind: "number" is one number. "category" has a slot of 0 or 1 for each value, and "vector" is a list of numbers.
        log: whether the model reads log(1 + number), which suits prices and counts.
        separator: text between the values, if a category has several values in one text.
        slots: number of slots of a category. If there are more values, they are hashed to slots.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    kind: Literal["number", "category", "vector"] = "number"
    log: bool = False
    separator: str | None = None
    slots: int = Field(default=64, ge=2, le=4096)

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        if self.log and self.kind != "number":
            raise ValueError(f"log: is only for numbers, got kind {self.kind}; remove log")
        if self.separator is not None and (self.kind != "category" or not self.separator):
            raise ValueError(
                f"separator: is only for categories and not empty, got kind {self.kind}; remove it"
            )
        return self


class AttributesConfig(BaseModel):
    """The columns of the items or users.

    Attributes:
        id: the column with the id.
        features: features by name.
        position: the columns with latitude and longitude in degrees. Only for items.
        texts: columns that the details of an item show. Only for items.
        embed: a folder with a sentence encoder, ``model.onnx`` and ``tokenizer.json``. The feature ``embedding`` is the
            vector of the texts. Only for items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    features: dict[FeatureName, AttributeConfig] = Field(default_factory=dict)
    position: tuple[str, str] | None = None
    texts: tuple[str, ...] = ()
    embed: str | None = None


class EventsConfig(BaseModel):
    """An event log and its global temporal split. The log is a public set, or the user's files.

    Attributes:
        set: a public set.
        files: the user's files.
        columns: the columns of the events.
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
        """The name of the log: that of the public set, or the events' location."""
        return self.set or (self.files.events if self.files is not None else "")

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
            given = [name for name in ("columns", "items", "users") if getattr(self, name) is not None]
            if given or self.kinds:
                raise ValueError(
                    f"{', '.join(given) or 'kinds'}: is only for files, got set; remove one of them"
                )
            return self
        if self.columns is None:
            raise ValueError("columns: missing; name the columns user, item and time of the events")
        for name in ("items", "users"):
            if (getattr(self, name) is None) != (getattr(self.files, name) is None):
                raise ValueError(
                    f"{name} and files.{name}: must be set together; add the other, or remove both"
                )
        if self.kinds and self.columns.kind is None:
            raise ValueError("kinds: needs columns.kind; name the column, or remove kinds")
        if self.kinds and not any(self.kinds.values()):
            raise ValueError("kinds: every relevance is 0; set one above 0")
        if self.users is not None and (self.users.position or self.users.texts or self.users.embed):
            raise ValueError("users: position, texts and embed are only for items; remove them")
        return self
