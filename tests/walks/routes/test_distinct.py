import numpy as np
import pytest

from tests.walks.conftest import City
from walks.routes.distinct import MAX_REVISITS, ground, pick_distinct
from walks.routes.propose import choose_anchors, propose
from walks.routes.routes import Routes


def test_no_two_chosen_routes_cover_the_same_ground(city: City) -> None:
    covers, revisits = ground(city.graph, city.routes)
    shared = (covers @ covers.T).toarray()
    size = shared.diagonal()
    overlap = shared / (size[:, None] + size - shared)
    np.fill_diagonal(overlap, 0.0)
    assert overlap.max() <= 0.7
    assert revisits.max() <= MAX_REVISITS


def test_loop_covers_the_same_ground_in_both_directions(city: City) -> None:
    routes = city.routes.take(np.flatnonzero(city.routes.loop)[:20])
    lengths = np.diff(routes.offsets)
    backwards = np.concatenate(
        [
            np.arange(end - 1, start - 1, -1)
            for start, end in zip(routes.offsets, routes.offsets[1:], strict=False)
        ]
    )
    around = Routes(routes.offsets, routes.edges[backwards], ~routes.forward[backwards], routes.loop)
    assert lengths.sum() == len(backwards)
    forward_ground, _ = ground(city.graph, routes)
    backward_ground, _ = ground(city.graph, around)
    assert np.array_equal(forward_ground.toarray(), backward_ground.toarray())


def test_going_out_and_back_on_the_two_pavements_of_a_street_revisits_its_ground(city: City) -> None:
    straight = city.routes.take(np.flatnonzero(~city.routes.loop)[:1])
    out_and_back = Routes(
        np.array([0, 2 * len(straight.edges)]),
        np.concatenate([straight.edges, straight.edges[::-1]]),
        np.concatenate([straight.forward, ~straight.forward[::-1]]),
        np.array([True]),
    )
    _, revisits = ground(city.graph, out_and_back)
    assert revisits[0] > 0.45


@pytest.mark.parametrize("loop_share", [0.0, 0.3, 1.0])
def test_picks_the_requested_share_of_loops_with_many_lengths(city: City, loop_share: float) -> None:
    rng = np.random.default_rng(5)
    anchors = choose_anchors(city.graph, 100, rng)
    proposed = propose(city.graph, city.around, anchors, 5000, 0.5, rng)
    rows = pick_distinct(city.graph, proposed, 60, loop_share, 0.7)
    assert len(rows) == len(set(rows.tolist())) == 60
    chosen = proposed.take(rows)
    assert chosen.loop.mean() == pytest.approx(loop_share)
    length = np.bincount(chosen.route_of_edge(), city.graph.length_m[chosen.edges])
    assert length.min() < 1200.0
    assert length.max() > 3500.0
