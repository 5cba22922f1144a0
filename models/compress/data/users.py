"""The users of lists. A data set may have them in ``user.npy``, beside the lists of each split."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.atomic_directory import settled
from models.compress.data.halves import half_of
from models.impressions import KeysToRows, read_impressions
from models.training.examples.usable_lists import of_catalogue, thinned, without_unknown_items

_USERS, _COLUMN = "user.npy", "user"


def users_of_report(
    folder: Path,
    *,
    feature_hash: str,
    keys_to_rows: KeysToRows,
    expected: int,
    most_valid: int | None = None,
    most_report: int | None = None,
    over_catalogue: bool = False,
) -> NDArray[np.int64] | None:
    """Return the number of each report list's user, (B,), or None if the data do not know them.

    Lists without known items are dropped as in training.

    Args:
        folder: the impressions ``valid``.
        feature_hash: content hash of the feature definitions.
        keys_to_rows: maps item keys to rows of the catalogue.
        expected: the number of report lists. Other lists than these have been sent with their items. Their users are
            then not known.
        most_valid: the largest number of validation lists. None: all.
        most_report: the largest number of report lists. None: all.
        over_catalogue: whether lists are extended to the whole catalogue.
    """
    batch, labels = read_impressions(folder, feature_hash=feature_hash, keys_to_rows=keys_to_rows)
    try:
        users = np.load(settled(folder) / _USERS, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if users.shape != (len(batch),) or users.dtype.kind not in "iu":
        return None
    known = replace(batch, requests={_COLUMN: users.astype(np.int64)}, candidates={})
    usable = of_catalogue if over_catalogue else without_unknown_items
    report, _ = half_of(usable(*thinned(known, labels, most_valid)), "report", most_report)
    column = report.requests[_COLUMN]
    assert isinstance(column, np.ndarray)
    return column if len(column) == expected else None
