"""Ragged batches: the arrays of several requests laid end to end.

Request ``i`` has the candidates ``[offsets[i], offsets[i + 1])`` in every per-candidate array.
Nothing is padded. Stages take a ragged batch and return a ragged batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)


class RaggedArray(msgspec.Struct, frozen=True):
    """B sequences of different lengths, laid end to end.

    Attributes:
        values: (T, ...), with T the total length.
        offsets: int64 (B + 1,). Sequence i is [offsets[i], offsets[i + 1]).
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Each sequence's length, int64 (B,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Return sequence ``index`` as a view."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def between(self, first: int, last: int) -> "RaggedArray":
        """Return the sequences [first, last). Their values are a view."""
        offsets = self.offsets[first : last + 1]
        return RaggedArray(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])

    def take(self, requests: NDArray[np.int64]) -> "RaggedArray":
        """Copy the listed sequences, in that order."""
        positions, offsets = gather_positions(self.offsets, requests)
        return RaggedArray(self.values[positions], offsets)

    @staticmethod
    def concatenate(parts: Sequence["RaggedArray"]) -> "RaggedArray":
        """Join several ragged arrays end to end."""
        lengths = np.concatenate([part.lengths for part in parts])
        return RaggedArray(np.concatenate([part.values for part in parts]), offsets_of(lengths))


Column = NDArray[Any] | RaggedArray


class RaggedBatch(msgspec.Struct, frozen=True):
    """B requests of one release with N candidates in total.

    Each stage copies the batch. A Struct is copied in 0.1 us, and a frozen dataclass in 2.1 us.

    Attributes:
        offsets: int64 (B + 1,). Request i has the candidates [offsets[i], offsets[i + 1]).
        rows: int64 (N,), catalogue row numbers.
        requests: per-request columns by name, such as "user.profile": (B, ...), or a RaggedArray of length B.
        candidates: per-candidate columns (N, ...) by name, such as "score".
        deadlines_s: float64 (B,), deadlines on the monotonic clock, inf for a request without a deadline.
        priorities: int32 (B,). Requests with a higher priority are served first.
        k: int64 (B,), maximum items per answer. None: all candidates.
        catalogue: the catalogue's deltas, as ``Catalogue.state``, when the candidates were found.
        user_keys: B user ids. Empty after the features stage has read them.
        missed: bool (B,) by reason, such as "features": requests whose answers are degraded for that reason.
        unknown_users: bool (B,), requests of users without any stored row. None: there are none, or it is not known.
    """

    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]
    requests: Mapping[str, Column] = msgspec.field(default_factory=dict)
    candidates: Mapping[str, NDArray[Any]] = msgspec.field(default_factory=dict)
    deadlines_s: NDArray[np.float64] | None = None
    priorities: NDArray[np.int32] | None = None
    k: NDArray[np.int64] | None = None
    release: str = ""
    catalogue: str = ""
    user_keys: Sequence[bytes] = ()
    missed: Mapping[str, NDArray[np.bool_]] = msgspec.field(default_factory=dict)
    unknown_users: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.offsets) - 1

    @property
    def candidate_count(self) -> int:
        """Number of candidates in all requests together."""
        return len(self.rows)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Each request's number of candidates, int64 (B,). ``np.diff`` takes 1.3 us for the same, instead of 0.4."""
        return self.offsets[1:] - self.offsets[:-1]

    def request_of(self) -> NDArray[np.int64]:
        """Return each candidate's request index, int64 (N,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def adding(
        self,
        requests: Mapping[str, Column] | None = None,
        candidates: Mapping[str, NDArray[Any]] | None = None,
    ) -> "RaggedBatch":
        """Return the same batch with more columns."""
        return replace(
            self,
            requests={**self.requests, **(requests or {})},
            candidates={**self.candidates, **(candidates or {})},
        )

    def missing(self, reason: str, requests: Sequence[int]) -> "RaggedBatch":
        """Return the same batch with ``reason`` added to ``missed`` for the listed requests."""
        mask = self.missed.get(reason)
        mask = np.zeros(len(self), dtype=np.bool_) if mask is None else mask.copy()
        mask[list(requests)] = True
        return replace(self, missed={**self.missed, reason: mask})

    def missed_by(self, request: int) -> list[str]:
        """Return the reasons for which one request is degraded, in stage order."""
        return [reason for reason, mask in self.missed.items() if mask[request]]

    def take(self, requests: NDArray[np.int64]) -> "RaggedBatch":
        """Copy the listed requests into a new batch, in that order."""
        positions, offsets = gather_positions(self.offsets, requests)
        return RaggedBatch(
            offsets=offsets,
            rows=self.rows[positions],
            requests={
                name: column.take(requests) if isinstance(column, RaggedArray) else column[requests]
                for name, column in self.requests.items()
            },
            candidates={name: column[positions] for name, column in self.candidates.items()},
            deadlines_s=None if self.deadlines_s is None else self.deadlines_s[requests],
            priorities=None if self.priorities is None else self.priorities[requests],
            k=None if self.k is None else self.k[requests],
            release=self.release,
            catalogue=self.catalogue,
            user_keys=[self.user_keys[i] for i in requests] if self.user_keys else (),
            missed={reason: mask[requests] for reason, mask in self.missed.items()},
            unknown_users=None if self.unknown_users is None else self.unknown_users[requests],
        )

    def between(self, first: int, last: int) -> "RaggedBatch":
        """Return the requests [first, last). Their columns are views."""
        requests = slice(first, last)
        offsets = self.offsets[first : last + 1]
        candidates = slice(*offsets[[0, -1]].tolist())
        return replace(
            self,
            offsets=offsets - offsets[0],
            rows=self.rows[candidates],
            requests={
                name: column.between(first, last) if isinstance(column, RaggedArray) else column[requests]
                for name, column in self.requests.items()
            },
            candidates={name: column[candidates] for name, column in self.candidates.items()},
            deadlines_s=None if self.deadlines_s is None else self.deadlines_s[requests],
            priorities=None if self.priorities is None else self.priorities[requests],
            k=None if self.k is None else self.k[requests],
            user_keys=self.user_keys[requests],
            missed={reason: mask[requests] for reason, mask in self.missed.items()},
            unknown_users=None if self.unknown_users is None else self.unknown_users[requests],
        )

    def keep(self, positions: NDArray[np.int64], offsets: NDArray[np.int64]) -> "RaggedBatch":
        """Return the same requests with only some candidates.

        Args:
            positions: int64, the candidates to keep.
            offsets: int64 (B + 1,). Request i keeps ``positions[offsets[i] : offsets[i + 1]]``.
        """
        return replace(
            self,
            offsets=offsets,
            rows=self.rows[positions],
            candidates={name: column[positions] for name, column in self.candidates.items()},
        )

    @staticmethod
    def concatenate(parts: Sequence["RaggedBatch"]) -> "RaggedBatch":
        """Join several batches with one release end to end.

        Raises:
            ValueError: the parts have different releases.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        if any(part.release != first.release for part in parts):
            raise ValueError(
                f"all parts of a batch must have one release, got {sorted({part.release for part in parts})}"
            )
        return RaggedBatch(
            offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
            rows=np.concatenate([part.rows for part in parts]),
            requests={name: _join([part.requests[name] for part in parts]) for name in first.requests},
            candidates={
                name: np.concatenate([part.candidates[name] for part in parts]) for name in first.candidates
            },
            deadlines_s=_join_present([part.deadlines_s for part in parts]),
            priorities=_join_present([part.priorities for part in parts]),
            k=_join_present([part.k for part in parts]),
            release=first.release,
            catalogue=first.catalogue,
            user_keys=[key for part in parts for key in part.user_keys],
            missed={
                reason: np.concatenate([_mask_for(part, reason) for part in parts])
                for reason in dict.fromkeys(reason for part in parts for reason in part.missed)
            },
            unknown_users=_join_unknown(parts),
        )


def offsets_of(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return int64 offsets (B + 1,) for lengths (B,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def gather_positions(
    offsets: NDArray[np.int64], sequences: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the selected sequences' flat positions, in that order, and their new offsets."""
    lengths = offsets[sequences + 1] - offsets[sequences]
    new_offsets = offsets_of(lengths)
    shift = np.repeat(offsets[sequences] - new_offsets[:-1], lengths)
    return np.arange(new_offsets[-1], dtype=np.int64) + shift, new_offsets


def _mask_for(batch: RaggedBatch, reason: str) -> NDArray[np.bool_]:
    mask = batch.missed.get(reason)
    return np.zeros(len(batch), dtype=np.bool_) if mask is None else mask


def _join_unknown(parts: Sequence[RaggedBatch]) -> NDArray[np.bool_] | None:
    if all(part.unknown_users is None for part in parts):
        return None
    return np.concatenate(
        [
            np.zeros(len(part), dtype=np.bool_) if part.unknown_users is None else part.unknown_users
            for part in parts
        ]
    )


def _join(columns: Sequence[Column]) -> Column:
    ragged = [column for column in columns if isinstance(column, RaggedArray)]
    if ragged:
        return RaggedArray.concatenate(ragged)
    return np.concatenate([column for column in columns if isinstance(column, np.ndarray)])


def _join_present(columns: Sequence[NDArray[_Number] | None]) -> NDArray[_Number] | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if present else None
