"""A namespace's objects behind an emulated API, with versions, label selectors, rights and concurrent writers."""

import copy
import threading
from collections.abc import Callable

from tests.k8s.emulation.api import RESOURCES, Answer, Request, failure
from tests.k8s.emulation.json_patch import PatchFailed, patched
from tests.k8s.emulation.manifest import Document

Interference = Callable[[], Answer | None]
"""Called before a request is answered. It may change objects, or return an answer instead of the server."""
_KINDS = {name: kind for kinds in RESOURCES.values() for name, kind in kinds.items()}


class Objects:
    """An API server's object store.

    An object's ``generation`` counts changes to its spec. Its ``resourceVersion`` counts all changes.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, resource and name of all requests."""
        self._objects: dict[tuple[str, str], Document] = {}
        self._forbidden: set[tuple[str, str]] = set()
        self._meddlers: dict[tuple[str, str], list[Interference]] = {}
        self._version = 0
        self._lock = threading.RLock()

    def add(self, resource: str, document: Document) -> None:
        """Add an object."""
        with self._lock:
            stored = copy.deepcopy(document) | {"kind": _KINDS[resource]}
            stored["metadata"] |= {"namespace": self.namespace, "generation": 1}
            self._store(resource, stored)

    def remove(self, resource: str, name: str) -> None:
        """Delete an object."""
        with self._lock:
            del self._objects[resource, name]

    def get(self, resource: str, name: str) -> Document:
        """Return a copy of an object."""
        with self._lock:
            return copy.deepcopy(self._objects[resource, name])

    def write(self, resource: str, name: str, change: Callable[[Document], object]) -> None:
        """Change an object as another client."""
        with self._lock:
            after = self.get(resource, name)
            change(after)
            self._replace(resource, after)

    def forbid(self, method: str, resource: str) -> None:
        """Answer these requests with 403 from now on."""
        self._forbidden.add((method, resource))

    def before(self, method: str, resource: str, interfere: Interference, times: int = 1) -> None:
        """Call ``interfere`` before the answer to each of the next ``times`` requests with this method and resource."""
        self._meddlers.setdefault((method, resource), []).extend([interfere] * times)

    def answer(self, request: Request) -> Answer:
        """Answer as the API server does."""
        with self._lock:
            self.requests.append((request.method, request.resource, request.name))
            if (request.method, request.resource) in self._forbidden:
                return self._forbidden_answer(request)
            meddlers = self._meddlers.get((request.method, request.resource))
            answer = meddlers.pop(0)() if meddlers else None
            if answer is not None:
                return answer
            if request.name is None:
                return self._listed(request)
            if request.namespace != self.namespace or (request.resource, request.name) not in self._objects:
                return failure(404, "NotFound", f'{request.resource} "{request.name}" not found')
            if request.method == "PATCH":
                return self._patched(request.resource, request.name, request)
            return 200, self.get(request.resource, request.name)

    def _patched(self, resource: str, name: str, request: Request) -> Answer:
        try:
            after = patched(self._objects[resource, name], request.operations)
        except PatchFailed as error:
            return failure(422, "Invalid", str(error))
        self._replace(resource, after)
        return 200, self.get(resource, name)

    def _replace(self, resource: str, after: Document) -> None:
        before = self._objects[resource, after["metadata"]["name"]]
        if after == before:
            return
        if after["spec"] != before["spec"]:
            after["metadata"]["generation"] += 1
        self._store(resource, after)

    def _store(self, resource: str, document: Document) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self._objects[resource, document["metadata"]["name"]] = document

    def _listed(self, request: Request) -> Answer:
        (selector,) = request.query.get("labelSelector", [""])
        selected = dict(each.split("=") for each in selector.split(",") if each)
        items = [
            copy.deepcopy(document)
            for (resource, _), document in self._objects.items()
            if resource == request.resource and selected.items() <= document["metadata"]["labels"].items()
        ]
        kind = f"{_KINDS[request.resource]}List"
        metadata = {"resourceVersion": str(self._version)}
        return 200, {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}

    def _forbidden_answer(self, request: Request) -> Answer:
        verb = {"GET": "get", "PATCH": "patch"}[request.method]
        group = next(prefix for prefix, kinds in RESOURCES.items() if request.resource in kinds).split("/")
        return failure(
            403,
            "Forbidden",
            f'{request.resource}.{group[1]} "{request.name}" is forbidden: User "sre" cannot {verb} resource '
            f'"{request.resource}" in API group "{group[1]}" in the namespace "{request.namespace}"',
        )
