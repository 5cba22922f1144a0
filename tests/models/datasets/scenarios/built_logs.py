"""Random event logs that are built, and read as training reads them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.assembly import InputAssembler
from models.datasets.build import EventData, write_event_data
from models.datasets.config import EventsConfig
from models.datasets.events import EventLog
from models.datasets.shown import ShownLists
from models.features.catalogue import Catalogue
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedArray
from models.signature import InputSpec, Signature
from models.training.config import OverCatalogueConfig
from models.training.examples.negative_sampling import over_catalogue
from models.training.folders import TrainingFolders
from models.training.vector_data import VectorData
from models.vectors import VectorBuilder, VectorSpec
from services.stages.features import load_definitions

START_S = 1_000_000_000
USERS, ITEMS = 5, 7
NOBODY, NOTHING = USERS - 1, ITEMS - 1
"""The user and the item of the events that are taken away."""


def events_of(fewest: int, most: int) -> st.SearchStrategy[list[tuple[int, int, int, float]]]:
    """Return lists of events: user, item, seconds after the start, and relevance."""
    event = st.tuples(
        st.integers(0, NOBODY - 1),
        st.integers(0, NOTHING - 1),
        st.integers(0, 40),
        st.sampled_from([0, 0.2, 1.0]),
    )
    return st.lists(event, min_size=fewest, max_size=most)


EVENTS = events_of(30, 60)
CONFIG = EventsConfig(set="movielens-100k", history=8)
ITEM_SOURCES = ("item.number", "item.popularity", "item.price")


def log_of(events: list[tuple[int, int, int, float]], *, served: bool) -> EventLog:
    """Return the log of these events: user, item, time and relevance."""
    user, item, at_s, relevance = (np.array(column) for column in zip(*events, strict=True))
    log = EventLog(
        name="random",
        user=user,
        item=item,
        at_s=START_S + at_s.astype(np.float64),
        value=1 + np.arange(len(events), dtype=np.float32) % 5,
        relevance=relevance.astype(np.float32),
        item_ids=[f"i{number}" for number in range(ITEMS)],
        item_columns={"price": np.arange(ITEMS, dtype=np.float32)},
        user_ids=[f"u{number}" for number in range(USERS)] if served else [],
        user_columns={"age": np.arange(USERS, dtype=np.float32)},
    )
    return in_order(log)


def in_order(log: EventLog) -> EventLog:
    """Return the log by user, time and item."""
    order = np.lexsort((log.item, log.at_s, log.user))
    assert log.relevance is not None
    columns = {name: getattr(log, name)[order] for name in ("user", "item", "at_s", "value", "relevance")}
    return replace(log, **columns)


def with_shown_lists(log: EventLog) -> EventLog:
    """Return the log with 40 lists of three items, which the users were shown in turns, one each second."""
    count = 40
    items = (np.arange(count)[:, None] + np.array([0, 2, 3])) % NOTHING
    shown = ShownLists(
        user=np.arange(count) % NOBODY,
        at_s=START_S + np.arange(count, dtype=np.float64),
        offsets=np.arange(count + 1) * 3,
        item=items.reshape(-1),
        position=np.tile(np.arange(3, dtype=np.int32), count),
        relevance=np.tile(np.array([1, 0, 0], dtype=np.float32), count),
    )
    return replace(log, shown=shown)


class Built:
    """A built log, read as training reads it."""

    def __init__(self, log: EventLog, root: Path) -> None:
        self.data = EventData(root)
        write_event_data(log, CONFIG, self.data)
        self.catalogue = Catalogue.open(self.data.catalogue)
        self.features = load_definitions(self.data.definitions)
        self.view = FeatureView(self.features, self.catalogue)
        folders = TrainingFolders(
            self.data.catalogue, self.data.impressions, root / "ranker", timelines=self.data.timelines
        )
        self.timelines = folders.open_timelines(self.catalogue)

    def signature(self) -> Signature:
        """Return inputs for every item column, of the candidates and of the history."""
        sources = [
            *ITEM_SOURCES,
            *(f"{source}@user.history" for source in ITEM_SOURCES),
            "vector.all",
        ]
        return Signature(
            inputs=tuple(
                InputSpec(
                    name=f"input_{index}",
                    source=source,
                    dtype="int64" if "number" in source else "float32",
                    shape=(3,) if source == "vector.all" else (),
                )
                for index, source in enumerate(sources)
            ),
            vectors={"all": VectorSpec(features=ITEM_SOURCES)},
        )

    def lists(
        self, split: str, until_s: float
    ) -> Iterator[tuple[tuple[int, float], dict[str, NDArray[Any]]]]:
        """Yield user and time of each list up to a time, with all its features for every item of the catalogue."""
        root = self.data.impressions / split
        batch, labels = read_impressions(
            root, feature_hash=self.features.content_hash, keys_to_rows=self.catalogue.rows_of_keys
        )
        users, times = np.load(root / "user.npy"), np.load(root / "at_s.npy")
        assemble = InputAssembler(self.signature(), self.catalogue, timelines=self.timelines)
        for index in np.flatnonzero((times <= until_s) & (users != NOBODY)):
            one = batch.adding(candidates={"label": labels}).take(np.array([index]))
            every, _ = over_catalogue(
                one, one.candidates["label"], self.catalogue, history="history", repeats=True
            )
            completed = self.view.completed(every)
            columns = dict(assemble(completed))
            for name, column in completed.requests.items():
                columns[name] = column.values if isinstance(column, RaggedArray) else column
            yield (int(users[index]), float(times[index])), columns

    def vectors(self, at_s: float) -> list[NDArray[Any]]:
        """Return what LambdaMART and the export read of the training lists before a time, with drawn items."""
        data = VectorData(
            folder=self.data.impressions,
            view=self.view,
            build=VectorBuilder(
                VectorSpec(features=ITEM_SOURCES), self.catalogue, name="all", timelines=self.timelines
            ),
            width=len(ITEM_SOURCES),
            over=OverCatalogueConfig(negatives=3),
        )
        times = np.load(self.data.impressions / "train" / "at_s.npy")
        (part,) = data.lists("train")
        count = int((times < at_s).sum())
        candidates = int(part.sizes[:count].sum())
        return [
            part.sizes[:count],
            part.rows[:candidates],
            part.labels[:candidates],
            part.vectors[:candidates],
        ]
