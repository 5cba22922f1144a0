"""Requests to the API server, made by kubectl with the user's own contexts, credentials and plug-ins."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.errors import ConfigError, ServiceError

Object = dict[str, Any]
_REQUEST_LIMIT_S = 20
_LIMIT_S = 60
_REASON = re.compile(r"^Error from server \((\w+)\)", re.MULTILINE)
_LOG = re.compile(r"[EIW]\d{4} ")  # a line of kubectl's own log
_INVALID = re.compile(r"^The .*\bis invalid\b", re.MULTILINE)


class KubernetesError(ServiceError):
    """The API server cannot be reached, or it refuses the request. Nothing was changed."""

    title = "Kubernetes error"
    exit_code = 2


class Missing(KubernetesError):
    """The object does not exist."""


class Conflict(KubernetesError):
    """Another writer changed the object at the same time."""


class Rejected(KubernetesError):
    """The patch does not apply to the object as it is now, or the result is not valid."""


def kubectl_program() -> str | None:
    """Return this environment's kubectl, else the kubectl on the path, else None."""
    return shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl program with a context and a namespace. None selects kubectl's own default."""

    program: str
    context: str | None = None
    namespace: str | None = None

    @classmethod
    def find(cls, context: str | None, namespace: str | None) -> "Kubectl":
        """Find the program.

        Raises:
            ConfigError: kubectl was not found.
        """
        program = kubectl_program()
        if program is None:
            raise ConfigError("kubectl: not found on the path; install kubectl and set up its credentials")
        return cls(program, context, namespace)

    def get(self, kind: str, name: str) -> Object:
        """Return an object.

        Raises:
            Missing: the object does not exist.
            KubernetesError: the server cannot be reached, or forbids the request.
        """
        return self._run("get", kind, name)

    def patch(self, kind: str, name: str, operations: Sequence[Object]) -> Object:
        """Apply a JSON patch (RFC 6902) and return the patched object. After an error, the object is unchanged.

        Raises:
            Conflict: another writer changed the object at the same time.
            Rejected: the patch does not apply to the object as it is now, or the result is not valid.
            Missing, KubernetesError: as for ``get``.
        """
        return self._run("patch", kind, name, "--type=json", f"--patch={json.dumps(operations)}")

    def _run(self, verb: str, kind: str, name: str, *options: str) -> Object:
        command = [self.program, verb, *options, "--output=json", f"--request-timeout={_REQUEST_LIMIT_S}s"]
        command += [] if self.context is None else [f"--context={self.context}"]
        command += [] if self.namespace is None else [f"--namespace={self.namespace}"]
        command += ["--", kind, name]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise KubernetesError(
                f"kubectl {verb} {kind}/{name}: no answer within {_LIMIT_S} s; check the API server"
            ) from error
        except OSError as error:
            raise KubernetesError(
                f"kubectl: {self.program} cannot be run: {error}; install kubectl again"
            ) from error
        if result.returncode != 0:
            raise _error(verb, kind, name, result.stderr)
        try:
            answer: Object = json.loads(result.stdout)
        except ValueError as error:
            raise KubernetesError(
                f"kubectl {verb} {kind}/{name}: expected JSON, got {result.stdout[:80]!r}; "
                f"check that {self.program} is kubectl"
            ) from error
        return answer


def _error(verb: str, kind: str, name: str, printed: str) -> KubernetesError:
    """Return the error for a message from kubectl. These messages have the same wording in every version."""
    message = "\n".join(line for line in printed.splitlines() if line and not _LOG.match(line))
    resource = kind.replace(".v1.", ".")
    target = f"{resource}/{name}"
    match = _REASON.search(message)
    reason = match[1] if match else "Invalid" if _INVALID.search(message) else None
    match reason:
        case "Forbidden":
            return KubernetesError(
                f"{target}: {verb} is not permitted, got {message!r}; "
                f"ask for a Role with the verb {verb} on {resource}"
            )
        case "NotFound":
            return Missing(f"{target}: not found, got {message!r}; check the name, --namespace and --context")
        case "Conflict":
            return Conflict(f"{target}: changed by another writer meanwhile, got {message!r}; try again")
        case "Invalid":
            return Rejected(
                f"{target}: the API server rejects the {verb}, got {message!r}; nothing was changed"
            )
    return KubernetesError(
        f"{target}: kubectl {verb} failed, got {message!r}; check --context and the credentials"
    )
