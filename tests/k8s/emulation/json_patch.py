"""JSON patches (RFC 6902): the operations that patches of RayClusters use."""

import copy
from typing import Any

from tests.k8s.emulation.manifest import Document


class PatchFailed(ValueError):
    """A path is not there, a test does not hold, or an operation is not known here."""


def patched(document: Document, operations: list[dict[str, Any]]) -> Document:
    """Return the document with all operations applied; the given one stays as it is.

    Raises:
        PatchFailed: one cannot be applied.
    """
    result = copy.deepcopy(document)
    for operation in operations:
        *path, last = operation["path"].removeprefix("/").split("/")
        try:
            at: Any = result
            for part in path:
                at = at[_key(at, part)]
            key = _key(at, last)
            match operation["op"]:
                case "test" if at[key] != operation["value"]:
                    raise PatchFailed(f"testing value {operation['path']} failed: test failed")
                case "test":
                    pass
                case "replace":
                    at[key]  # what is replaced must be there
                    at[key] = operation["value"]
                case "add" if isinstance(at, dict):
                    at[key] = operation["value"]
                case other:
                    raise PatchFailed(f"{other} of {operation['path']}")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchFailed(f"{operation['op']} {operation['path']}: {error}") from error
    return result


def _key(at: Any, part: str) -> Any:
    return int(part) if isinstance(at, list) else part
