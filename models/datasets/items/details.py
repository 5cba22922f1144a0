"""The details of items: JSON objects with the id, and texts in ``properties``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def details_of(
    ids: Sequence[str],
    texts: Mapping[str, Sequence[str | None]],
    whole: Sequence[str | None] | None,
    before: Sequence[bytes | None] | None = None,
) -> list[bytes]:
    """Return the details of items.

    Args:
        ids: the ids.
        texts: texts by property.
        whole: whole details, which replace everything else. None: there are none.
        before: the details so far. The texts replace those in their properties.
    """
    rows = zip(*texts.values(), strict=True) if texts else ((),) * len(ids)
    details = []
    for index, (item_id, row) in enumerate(zip(ids, rows, strict=True)):
        given = None if whole is None else whole[index]
        if given is not None:
            details.append(given.encode())
            continue
        old = None if before is None else before[index]
        properties = {name: text for name, text in zip(texts, row, strict=True) if text is not None}
        if old is not None and not properties:
            details.append(old)
            continue
        document: dict[str, Any] = {"id": item_id} if old is None else json.loads(old)
        if properties:
            document["properties"] = {**(document.get("properties") or {}), **properties}
        details.append(json.dumps(document).encode())
    return details
