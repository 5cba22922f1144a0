"""What the files of a new pipeline have, and what they leave open."""

from dataclasses import dataclass, field

from cli.new.columns import Choice
from models.datasets.attribute_config import AttributesConfig
from models.datasets.config import EventColumns
from models.datasets.files.roles import Guess
from models.datasets.shown_config import ImpressionsConfig
from models.datasets.time_format import TimeFormat


@dataclass(frozen=True)
class Question:
    """A question that the user must answer.

    Attributes:
        field: "column ROLE", "time-zone", "time-pattern" or "kinds".
        text: what is unclear.
        answers: possible answers, the likeliest first.
        remedy: the option that answers it.
    """

    field: str
    text: str
    answers: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class Found:
    """What the files have.

    Attributes:
        locations: absolute paths or URLs by table.
        choice: what the user said.
        guesses: the roles by table.
        columns: the columns of the events.
        impressions: the columns of the impressions.
        time: how the times of events are written.
        kinds: values of the kind column.
        items_seen: different items in the sample.
        repeats: the share of events whose user chose the item before.
    """

    locations: dict[str, str]
    choice: Choice
    guesses: dict[str, list[Guess]]
    columns: EventColumns | None = None
    impressions: ImpressionsConfig | None = None
    time: TimeFormat = field(default_factory=TimeFormat)
    kinds: tuple[str, ...] = ()
    items_seen: int = 0
    repeats: float = 0.0
    attributes: dict[str, AttributesConfig] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    open_questions: tuple[Question, ...] = ()

    @property
    def has_lists(self) -> bool:
        """Whether there are events or impressions to train on."""
        return "events" in self.locations or "impressions" in self.locations
