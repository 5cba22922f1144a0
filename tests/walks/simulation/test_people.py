import numpy as np

from walks.routes.attributes import NAMES
from walks.simulation.people import INTERESTS, PROFILE, People, draw_people

CORNERS = np.array([[-500.0, -800.0], [500.0, 800.0]])


def draw(count: int = 2000, seed: int = 1) -> People:
    return draw_people(count, CORNERS, np.random.default_rng(seed))


def test_a_seed_gives_the_same_people() -> None:
    first, second, other = draw(), draw(), draw(seed=2)
    assert np.array_equal(first.taste, second.taste)
    assert np.array_equal(first.profile, second.profile)
    assert not np.array_equal(first.taste, other.taste)


def test_people_live_on_the_map_and_walk_at_human_pace() -> None:
    people = draw()
    assert len(people) == 2000
    for place in (people.home, people.work):
        assert (place >= CORNERS[0]).all()
        assert (place <= CORNERS[1]).all()
    assert people.pace_kmh.min() >= 3.5
    assert people.pace_kmh.max() <= 6.5
    assert people.length_km.min() >= 0.8
    assert people.length_km.max() <= 6.0


def test_declared_profile_is_a_noisy_hint_of_taste() -> None:
    people = draw()
    declares_green = people.profile[:, PROFILE.index("declares_green")] == 1.0
    likes_parks = people.taste[:, NAMES.index("park")]
    assert likes_parks[declares_green].mean() > likes_parks[~declares_green].mean() + 0.2
    assert likes_parks[declares_green].min() < np.median(
        likes_parks
    )  # some declare an interest that they do not have
    declared = people.profile[:, : len(INTERESTS)]
    assert set(np.unique(declared)) == {0.0, 1.0}
    assert 0.1 < declared.mean() < 0.5


def test_profile_does_not_reveal_hidden_tastes() -> None:
    people = draw()
    for column in range(people.profile.shape[1]):
        for hidden in (*people.character.T, *people.wording.T, people.heeds_news, people.keeps_on):
            assert abs(np.corrcoef(people.profile[:, column], hidden)[0, 1]) < 0.1
