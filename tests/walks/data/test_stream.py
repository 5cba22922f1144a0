import json
from collections import Counter

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.rows import KeyedGroup, UserRowCodec
from models.ragged import RaggedArray
from walks.data.features import FEATURES
from walks.data.stream import events_ahead, most_hours, paced
from walks.errors import NoWorldError
from walks.presets import PRESETS
from walks.simulation.scene import Scene
from walks.simulation.weather import PRESENT_S
from walks.world import World

TINY = PRESETS["tiny"]


@pytest.fixture(scope="module")
def events(world: World) -> list[dict[str, object]]:
    scene = Scene.load(world.scene)
    return list(events_ahead(scene, TINY, users=50, hours=24, visits_per_day=2.0, seed=3))


def test_events_are_in_order_of_time_after_the_present(events: list[dict[str, object]]) -> None:
    at_s = np.array([event["at_s"] for event in events])
    assert (np.diff(at_s) >= 0).all()
    assert PRESENT_S <= at_s[0] < at_s[-1] < PRESENT_S + 28 * 3600
    kinds = Counter(event["event"] for event in events)
    assert set(kinds) == {"position", "shown", "open", "rating"}
    assert kinds["position"] > kinds["shown"] > kinds["open"] > kinds["rating"] > 0
    assert len({(e["event"], e["user_id"], e["sequence"]) for e in events}) == len(events)


def test_features_can_consume_every_printed_event(world: World, events: list[dict[str, object]]) -> None:
    catalogue = Catalogue.open(world.catalogue)
    groups: tuple[KeyedGroup, ...] = ("user", "realtime")
    codecs = {group: UserRowCodec(FEATURES, group) for group in groups}
    user = Counter(e["user_id"] for e in events if e["event"] == "rating").most_common(1)[0][0]
    rows: dict[KeyedGroup, bytes | None] = dict.fromkeys(groups)
    user_events = [json.loads(json.dumps(event)) for event in events if event["user_id"] == user]
    for event in user_events:
        kind, at_s, sequence = event.pop("event"), event.pop("at_s"), event.pop("sequence")
        event.pop("user_id")
        for group, codec in codecs.items():
            rows[group] = codec.with_event(rows[group], kind, at_s, sequence, event)
    now_s = np.array([PRESENT_S + 30 * 3600])
    result = codecs["user"].decode([rows["user"]], now_s).columns
    history, shown = result["user.history"], result["user.shown"]
    assert isinstance(history, RaggedArray)
    assert isinstance(shown, RaggedArray)
    assert (catalogue.rows_of_keys(history[0]) >= 0).all()
    assert len(history[0]) > 0
    assert len(shown[0]) > 0
    last_s = max(e["at_s"] for e in events if e["user_id"] == user and e["event"] == "position")  # type: ignore[type-var]
    then = np.array([float(last_s) + 1.0])  # type: ignore[arg-type]
    track = codecs["realtime"].decode([rows["realtime"]], then).columns["realtime.track"]
    assert isinstance(track, RaggedArray)
    assert len(track[0]) > 0


def test_the_same_seed_gives_the_same_stream(world: World) -> None:
    scene = Scene.load(world.scene)
    runs = [
        list(events_ahead(scene, TINY, users=20, hours=6, visits_per_day=4.0, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_rejects_more_users_or_hours_than_the_world_has(world: World) -> None:
    scene = Scene.load(world.scene)
    assert most_hours(scene) == 156
    for users, hours in ((101, 24), (10, 157)):
        with pytest.raises(NoWorldError, match="100 users and 156 hours"):
            next(events_ahead(scene, TINY, users=users, hours=hours, visits_per_day=1.0, seed=1))
    assert list(events_ahead(scene, TINY, users=1, hours=1, visits_per_day=1e-9, seed=1)) == []


def test_pacing_keeps_all_events_in_order() -> None:
    events = [{"at_s": PRESENT_S + number} for number in range(5)]
    assert list(paced(events, 0.0)) == events
    assert list(paced(events, 1e5)) == events
