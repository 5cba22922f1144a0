"""The body of ``POST /v1/feedback``: an event about an item of an earlier answer."""

from typing import Annotated

import msgspec
from msgspec import Meta

from models.features.catalogue import Catalogue
from models.served_log.schema import Event
from services.errors import NotFound, Unprocessable
from services.ingress.schema import parse_body
from services.logs.served import ServedLog

_SHOWN = 80  # characters of an id that are repeated in an error


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/feedback``.

    Attributes:
        value: the rating, 0 to 1. The event "rated" requires it. No other event may have it.
    """

    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    item_id: Annotated[str, Meta(min_length=1)]
    event: Event
    value: Annotated[float, Meta(ge=0, le=1)] | None = None


_decoder = msgspec.json.Decoder(FeedbackRequest)


def parse_feedback(body: bytes) -> FeedbackRequest:
    """Parse a body.

    Raises:
        RequestError: the body is not JSON.
        Unprocessable: a field is missing, unknown, of another type or out of range.
    """
    feedback = parse_body(_decoder, body)
    if (feedback.value is not None) != (feedback.event == "rated"):
        remedy = "send the rating, 0 to 1" if feedback.value is None else "leave it out"
        raise Unprocessable(
            f"required for event rated and not allowed for other events, got event {feedback.event}; {remedy}",
            field="value",
        )
    return feedback


def log_feedback(feedback: FeedbackRequest, catalogue: Catalogue, log: ServedLog | None) -> None:
    """Write the event to the served log.

    Raises:
        NotFound: the pipeline has no served log.
        Unprocessable: the catalogue does not have the item.
        QueueFull: the log's queue is full.
    """
    if log is None:
        raise NotFound("this pipeline logs no feedback; add log to its YAML file", field="path")
    row = catalogue.row_by_id.get(feedback.item_id)
    if row is None:
        raise Unprocessable(
            f"not in catalogue {catalogue.manifest.name}, got {feedback.item_id[:_SHOWN]!r}; "
            f"send an item id from an answer",
            field="item_id",
        )
    value = 1.0 if feedback.value is None else feedback.value
    log.feedback(feedback.request_id, int(catalogue.keys[row]), feedback.event, value)
