"""The useful work of a batch: floating-point operations, and the least bytes that must be moved.

Only the transformer layers of a ranker are counted, and only pairs of tokens that attend to each other. A multiply-add
counts as two operations. With width d, feed-forward width f, n layers, a history of S tokens (the beginning and the
items) and C candidates, one request takes

    candidates   n C (8 d d + 4 d f)  projections and feed-forward
                 n C 4 d (S + 1)      attention to the history and to itself
    history      n S 4 d d            keys and values
                 (n - 1) S (4 d d + 4 d f)     queries, output and feed-forward. Nothing reads the last layer's
                 (n - 1) 2 d S (S + 1)         causal attention

Embeddings, encoders, norms, softmax and padding are not counted. So a share of the card's rate is a lower bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.on_gpu.options import DlrmOptions, RankerOptions


@dataclass(frozen=True)
class Work:
    """Useful operations and least bytes of one batch."""

    operations: float
    least_bytes: float


def ranker_work(
    options: RankerOptions,
    lengths: Sequence[int],
    candidates: int,
    bytes_each: int,
    *,
    encodes: bool = True,
    scores: bool = True,
) -> Work:
    """Return a ranker's work.

    The least bytes are the layers' weights once, keys and values written once (if they are encoded) and read once, and
    the layers' input of every token.

    Args:
        options: the ranker's options.
        lengths: the length of each request's history, in items.
        candidates: candidates per request.
        bytes_each: bytes per weight and activation.
        encodes: whether the batch encodes the histories.
        scores: whether the batch scores the candidates.
    """
    d, f, n = options.width, options.hidden, options.layers
    operations, numbers = 0.0, n * (4.0 * d * d + 2.0 * d * f)
    for length in lengths:
        s = length + 1
        keys_and_values = 2.0 * n * s * d
        if encodes:
            operations += n * s * 4 * d * d
            operations += (n - 1) * (s * (4 * d * d + 4 * d * f) + 2 * d * s * (s + 1))
            numbers += s * d + keys_and_values
        if scores:
            operations += n * candidates * (8 * d * d + 4 * d * f + 4 * d * (s + 1))
            numbers += candidates * d + keys_and_values
    return Work(float(operations), numbers * bytes_each)


def dlrm_work(options: DlrmOptions, count: int, bytes_each: int) -> Work:
    """Return a DLRM's work for ``count`` candidates.

    The operations are the products of both networks and of the pairs of vectors. The least bytes are the networks'
    weights once, and each candidate's rows and inputs.
    """
    vectors = options.fields + 1
    pairs = vectors * (vectors - 1) // 2
    networks = (
        (options.dense, *options.bottom, options.width),
        (options.width + pairs, *options.top, 1),
    )
    weights = sum(before * after for widths in networks for before, after in pairwise(widths))
    operations = 2.0 * count * (weights + pairs * options.width)
    each = options.fields * (options.width * bytes_each + 8) + options.dense * 4
    return Work(operations, weights * bytes_each + count * each)
