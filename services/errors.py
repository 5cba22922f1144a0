"""Errors of the services package, each with its HTTP status.

ServiceError 500
├── ConfigError               a pipeline's YAML cannot be used (command line: exit 2)
├── ReleaseError              a release cannot be staged, loaded or activated
├── StartFailed               a pipeline's replicas do not start
├── StoreFailed               data cannot be loaded into a feature store
│   └── StoreLost             the store lost rows while a load was running
├── RequestError 400          the caller can correct the request
│   ├── BodyTooLarge 413
│   ├── BodyTooSlow 408
│   ├── NotFound 404
│   ├── MethodNotAllowed 405
│   └── Unprocessable 422     well-formed, but a value is out of range or unknown
├── Overloaded 429            try again after retry_after_s
│   ├── QueueFull
│   ├── DeadlinePassed        the answer could not be made in time
│   └── ReleaseMismatch       two units have different releases, while a release is being replaced
└── StageFailed 500           a stage raised
    └── ShardLost             a rank of the replica's shard group is gone, or hangs

Over HTTP they are RFC 9457 problem documents with the problem, the field and the remedy.

An error with a field adds the field to its text. So code that raises one leaves the field out of the message.
"""

import msgspec


def with_field(field: str | None, message: str) -> str:
    """Put the field before the message, unless the message already begins with the field or one of its parts."""
    if not field or (message.startswith(field) and message[len(field) :].startswith((":", ".", "["))):
        return message
    return f"{field}: {message}"


class ServiceError(Exception):
    """Root of the package's errors."""

    status = 500
    title = "Internal error"

    def __init__(self, message: str, *, field: str | None = None, retry_after_s: int | None = None) -> None:
        """Describe the error.

        Args:
            message: the problem and its remedy, without the field.
            field: the faulty field of the request or configuration. The error's text begins with this field.
            retry_after_s: seconds after which the caller may try again.
        """
        self.detail = with_field(field, message)
        super().__init__(self.detail)
        self.field = field
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword arguments when the error is sent to another process."""
        return _rebuild, (type(self), self.detail, self.field, self.retry_after_s)

    def problem(self, request_id: str) -> bytes:
        """Return the RFC 9457 document as JSON."""
        document: dict[str, str | int] = {
            "type": f"urn:rankway:problem:{type(self).__name__}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
        }
        if self.field is not None:
            document["field"] = self.field
        return msgspec.json.encode(document)


class ConfigError(ServiceError):
    """A pipeline's configuration cannot be used."""

    title = "Configuration error"


class ReleaseError(ServiceError):
    """A release cannot be staged, loaded or activated."""

    title = "Release error"


class StartFailed(ServiceError):
    """A pipeline's replicas do not start.

    Attributes:
        report: the whole report of Ray Serve, with its tracebacks. Empty if the message has everything.
    """

    title = "Start failed"
    report = ""


class StoreFailed(ServiceError):
    """Data cannot be loaded into a feature store."""

    title = "Feature store failed"


class StoreLost(StoreFailed):
    """A feature store lost rows that a load had written. The load must start again from its beginning."""


class RequestError(ServiceError):
    """The caller can correct the request."""

    status = 400
    title = "Bad request"


class BodyTooLarge(RequestError):
    """The body is larger than the limit."""

    status = 413
    title = "Body too large"


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    title = "Body too slow"


class NotFound(RequestError):
    """There is no such route or item."""

    status = 404
    title = "Not found"


class MethodNotAllowed(RequestError):
    """The route exists, but for another method."""

    status = 405
    title = "Method not allowed"


class Unprocessable(RequestError):
    """A value is out of range or unknown."""

    status = 422
    title = "Unprocessable request"


class Overloaded(ServiceError):
    """There is more work than can be done in time."""

    status = 429
    title = "Overloaded"


class QueueFull(Overloaded):
    """The queue's limit is reached."""


class DeadlinePassed(Overloaded):
    """The answer was not ready by the deadline, or is not expected to be."""

    title = "Deadline passed"


class ReleaseMismatch(Overloaded):
    """A unit was called for a release that it no longer has, or does not have yet."""

    title = "Release mismatch"


class StageFailed(ServiceError):
    """A stage raised. The message contains the cause."""

    title = "Stage failed"


class ShardLost(StageFailed):
    """A rank of a shard group is gone, or hangs. The group cannot run another batch."""

    title = "Shard lost"


def _rebuild(
    kind: type[ServiceError], detail: str, field: str | None, retry_after_s: int | None
) -> ServiceError:
    return kind(detail, field=field, retry_after_s=retry_after_s)
