"""Mixes: how many replicas in each of the pools a unit may run in, for a load, at the least price."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Mix = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PoolOption:
    """A pool that a unit may run in. per_s: candidates/s a replica takes there. price: of a replica, an hour."""

    per_s: float
    price: float
    lowest: int
    most: int


def capacity_of(mix: Sequence[int], options: Sequence[PoolOption]) -> float:
    """Give the candidates/s that a mix takes."""
    return sum(count * option.per_s for count, option in zip(mix, options, strict=True))


def price_of(mix: Sequence[int], options: Sequence[PoolOption]) -> float:
    """Give a mix's price, an hour."""
    return sum(count * option.price for count, option in zip(mix, options, strict=True))


def cheapest_mix(load: float, options: Sequence[PoolOption]) -> Mix:
    """Give the cheapest mix found that takes ``load`` candidates/s; where none can, all there may be.

    The best value for money goes first, and each pool is tried with its share rounded up and rounded down, the rest
    left to the next: at most 2^(pools) mixes, among them the optimum wherever rounding is all that is to be decided.
    """
    order = sorted(range(len(options)), key=lambda i: options[i].price / options[i].per_s)
    lowest = [options[i].lowest for i in order]
    rest = load - capacity_of(lowest, [options[i] for i in order])
    filling = _fill(rest, [options[i] for i in order])
    mix = [0] * len(options)
    for i, count in zip(order, filling, strict=True):
        mix[i] = count
    return tuple(mix)


def changed(target: Mix, up: float, down: float, options: Sequence[PoolOption], saving: float) -> Mix:
    """Give the mix to ask for: more where ``target`` takes less than ``up``, fewer where it does more than ``down``.

    Replicas move to other pools only where that saves ``saving`` of the price of adding or taking away alone.
    """
    if capacity_of(target, options) < up:
        more = [
            PoolOption(p.per_s, p.price, max(p.lowest, min(n, p.most)), p.most)
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
        PoolOption(p.per_s, p.price, p.lowest, min(n, p.most)) for p, n in zip(options, target, strict=True)
    ]
    kept = cheapest_mix(down, fewer)
    if len(options) == 1:
        return kept
    moved = cheapest_mix(down, options)
    better = price_of(moved, options) < (1 - saving) * price_of(kept, options)
    return moved if better and capacity_of(moved, options) >= up else kept


def handed_over(wanted: Mix, target: Mix, ready: Mix, load: float, options: Sequence[PoolOption]) -> Mix:
    """Give ``wanted`` with replicas kept where they go until those that replace them are ready for the load."""
    mix = list(wanted)
    for i, option in enumerate(options):
        able = capacity_of([min(n, r) for n, r in zip(mix, ready, strict=True)], options)
        while able < load and mix[i] < min(target[i], ready[i]):
            mix[i] += 1
            able += option.per_s
    return tuple(mix)


def _fill(rest: float, options: Sequence[PoolOption]) -> list[int]:
    """Give counts, the lowest included, for what is ``rest`` above the capacity of the lowest."""
    if not options:
        return []
    option, others = options[0], options[1:]
    room = max(0, option.most - option.lowest)
    share = max(0.0, rest) / option.per_s
    above = min(room, math.ceil(share - 1e-9))
    best: list[int] = []
    best_price, best_lacks = 0.0, 0.0
    for count in {above, max(0, above - 1)} if others else {above}:
        mix = [option.lowest + count, *_fill(rest - count * option.per_s, others)]
        price = price_of(mix, options)
        lacks = max(0.0, rest - sum((n - p.lowest) * p.per_s for n, p in zip(mix, options, strict=True)))
        if lacks < 1e-9 * max(1.0, rest):
            lacks = 0.0
        if not best or (lacks, price, mix) < (best_lacks, best_price, best):
            best, best_price, best_lacks = mix, price, lacks
    return best
