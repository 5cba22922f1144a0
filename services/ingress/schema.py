"""The request and answer of ``POST /v1/rank``. Parsing a request validates it."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.errors import RequestError, Unprocessable
from services.stages.context import ContextValue

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
MAX_USER_ID = 128  # characters
_SHOWN = 120  # characters of the caller's text that an error repeats
Body = TypeVar("Body")


class RankRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/rank``.

    Attributes:
        candidates: item ids, or objects with the id and the features of an item. ``ItemLayout`` checks these.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=MAX_USER_ID)]
    context: dict[str, ContextValue] = {}
    candidates: Annotated[Sequence[str | dict[str, Any]], Meta(min_length=1)] | None = None
    k: Annotated[int, Meta(ge=1, le=1000)] = 10
    deadline_ms: Annotated[float, Meta(gt=0, le=60_000)] | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    explain: bool = False


class Urgency(msgspec.Struct, gc=False):
    """The fields that can lead to a refusal before the request is parsed. Other fields are skipped and not checked."""

    priority: int = 0
    deadline_ms: float | None = None


_decoder = msgspec.json.Decoder(RankRequest)
_urgency_decoder = msgspec.json.Decoder(Urgency)


def read_urgency(body: bytes) -> Urgency | None:
    """Return a body's priority and deadline. None if it cannot be decoded: full parsing reports the error."""
    try:
        return _urgency_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parse_rank_request(body: bytes) -> RankRequest:
    """Parse the body of ``POST /v1/rank``.

    Raises:
        RequestError: see ``parse_body``.
        Unprocessable: see ``parse_body``.
    """
    return parse_body(_decoder, body)


def parse_body(decoder: "msgspec.json.Decoder[Body]", body: bytes) -> Body:
    """Parse a body into the decoder's type.

    Raises:
        RequestError: the body is not JSON. Broken UTF-8, NaN and too deep nesting are not JSON either.
        Unprocessable: a field is missing, unknown, of another type or out of range. The error names the field.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = str(error)
        match = _PATH.search(message)
        field = (match["path"] if match else _named_field(message)) or "body"
        problem = message[: match.start()] if match else message
        excerpt = problem if len(problem) <= 2 * _SHOWN else f"{problem[: 2 * _SHOWN]}…"
        raise Unprocessable(f"{excerpt}; correct the field and send again", field=field[:_SHOWN]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"cannot be read as JSON ({error}); send valid JSON", field="body") from error


def _named_field(message: str) -> str:
    """Return the missing or unknown field that a msgspec message names. Such a message has no path."""
    match = re.search(r"field `([^`]*)`", message)
    return match[1] if match else ""


class RankedItem(msgspec.Struct, gc=False, omit_defaults=True):
    """One item of an answer.

    Attributes:
        scores: the scores by stage, if the request asked for ``explain``.
    """

    id: str
    score: float
    scores: dict[str, float] = {}


class RankResponse(msgspec.Struct, gc=False):
    """The answer of ``POST /v1/rank``.

    Attributes:
        models: the model versions by name, and the release's name as ``release``.
        degraded: why the answer is degraded, as reasons joined by commas. None if the answer is not degraded.
        timings_ms: milliseconds in the queue and in each stage.
        unknown_user: True if the feature store has no row of the user, so that the answer is made with default
            features. It is left out otherwise.
    """

    request_id: str
    items: list[RankedItem]
    models: dict[str, str]
    degraded: str | None
    timings_ms: dict[str, float]
    unknown_user: Literal[True] | UnsetType = UNSET
