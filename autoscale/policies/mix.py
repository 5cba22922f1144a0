"""Mixes: how many replicas a unit has in each pool, for a load at the lowest price."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Mix = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PoolOption:
    """A pool that a unit may run in.

    Attributes:
        per_s: a replica's capacity in candidates/s.
        price: a replica's price per hour.
        min_replicas: least number of replicas.
        max_replicas: largest number of replicas.
    """

    per_s: float
    price: float
    min_replicas: int
    max_replicas: int


def capacity_of(mix: Sequence[int], options: Sequence[PoolOption]) -> float:
    """Return the mix's capacity in candidates/s."""
    return sum(count * option.per_s for count, option in zip(mix, options, strict=True))


def price_of(mix: Sequence[int], options: Sequence[PoolOption]) -> float:
    """Return the mix's price per hour."""
    return sum(count * option.price for count, option in zip(mix, options, strict=True))


def cheapest_mix(load: float, options: Sequence[PoolOption]) -> Mix:
    """Return the cheapest mix found for ``load`` candidates/s, or all replicas if no mix is enough.

    The pool with the lowest price per candidate comes first. Each pool is tried with its replicas rounded up and
    rounded down, and the next pool serves the rest. That makes at most 2^(pools) mixes. The optimum is one of them if
    it fills the pools in this order and differs only in the rounding.

    For example, small replicas serve 500 for 0.05 and big replicas 9,000 for 0.60. The big ones are cheaper per
    candidate. A load of 9,900 needs 1 big replica and 2 small ones.
    """
    order = sorted(range(len(options)), key=lambda i: options[i].price / options[i].per_s)
    min_replicas = [options[i].min_replicas for i in order]
    rest = load - capacity_of(min_replicas, [options[i] for i in order])
    filling = _fill(rest, [options[i] for i in order])
    mix = [0] * len(options)
    for i, count in zip(order, filling, strict=True):
        mix[i] = count
    return tuple(mix)


def changed(target: Mix, up: float, down: float, options: Sequence[PoolOption], saving: float) -> Mix:
    """Return the next mix for a load.

    If ``target`` serves less than ``up``, the next mix serves at least ``up``. Otherwise it is the cheapest mix that
    still serves ``down``.

    Replicas move to other pools if that saves more than the share ``saving`` of the price, compared with adding or
    removing replicas in their present pools.
    """
    if capacity_of(target, options) < up:
        more = [
            PoolOption(p.per_s, p.price, max(p.min_replicas, min(n, p.max_replicas)), p.max_replicas)
            for p, n in zip(options, target, strict=True)
        ]
        added = cheapest_mix(up, more)
        if len(options) == 1:
            return added
        moved = cheapest_mix(up, options)
        enough = capacity_of(added, options) >= up
        better = price_of(moved, options) < (1 - saving) * price_of(added, options)
        return moved if better and enough else added
    fewer = [
        PoolOption(p.per_s, p.price, p.min_replicas, min(n, p.max_replicas))
        for p, n in zip(options, target, strict=True)
    ]
    reduced = cheapest_mix(down, fewer)
    if len(options) == 1:
        return reduced
    moved = cheapest_mix(down, options)
    better = price_of(moved, options) < (1 - saving) * price_of(reduced, options)
    return moved if better and capacity_of(moved, options) >= up else reduced


def handed_over(wanted: Mix, target: Mix, ready: Mix, load: float, options: Sequence[PoolOption]) -> Mix:
    """Return ``wanted`` plus the old replicas that are needed until their replacements are ready."""
    mix = list(wanted)
    for i, option in enumerate(options):
        capacity = capacity_of([min(n, r) for n, r in zip(mix, ready, strict=True)], options)
        while capacity < load and mix[i] < min(target[i], ready[i]):
            mix[i] += 1
            capacity += option.per_s
    return tuple(mix)


def _fill(rest: float, options: Sequence[PoolOption]) -> list[int]:
    """Return the replicas for each option. ``rest`` is the load that the minimum replicas cannot serve."""
    if not options:
        return []
    option, others = options[0], options[1:]
    room = max(0, option.max_replicas - option.min_replicas)
    share = max(0.0, rest) / option.per_s
    above = min(room, math.ceil(share - 1e-9))
    best: list[int] = []
    best_price, best_shortfall = 0.0, 0.0
    for count in {above, max(0, above - 1)} if others else {above}:
        mix = [option.min_replicas + count, *_fill(rest - count * option.per_s, others)]
        price = price_of(mix, options)
        shortfall = max(
            0.0, rest - sum((n - p.min_replicas) * p.per_s for n, p in zip(mix, options, strict=True))
        )
        if shortfall < 1e-9 * max(1.0, rest):
            shortfall = 0.0
        if not best or (shortfall, price, mix) < (best_shortfall, best_price, best):
            best, best_price, best_shortfall = mix, price, shortfall
    return best
