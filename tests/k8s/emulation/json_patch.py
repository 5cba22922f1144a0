"""JSON patches (RFC 6902), with only the operations that RayCluster patches use."""

import copy
from typing import Any

from tests.k8s.emulation.manifest import Document


class PatchFailed(ValueError):
    """A path does not exist, a test failed, or an operation is not supported."""


def patched(document: Document, operations: list[dict[str, Any]]) -> Document:
    """Return a copy of the document with all operations applied.

    Raises:
        PatchFailed: an operation cannot be applied.
    """
    result = copy.deepcopy(document)
    for operation in operations:
        *path, last = operation["path"].removeprefix("/").split("/")
        try:
            parent: Any = result
            for part in path:
                parent = parent[_key(parent, part)]
            key = _key(parent, last)
            match operation["op"]:
                case "test" if parent[key] != operation["value"]:
                    raise PatchFailed(f"testing value {operation['path']} failed: test failed")
                case "test":
                    pass
                case "replace":
                    parent[key]  # the replaced value must exist
                    parent[key] = operation["value"]
                case "add" if isinstance(parent, dict):
                    parent[key] = operation["value"]
                case other:
                    raise PatchFailed(f"{other} of {operation['path']}")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchFailed(f"{operation['op']} {operation['path']}: {error}") from error
    return result


def _key(parent: Any, part: str) -> Any:
    return int(part) if isinstance(parent, list) else part
