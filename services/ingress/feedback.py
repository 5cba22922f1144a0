"""The body of ``POST /v1/feedback``: an event about an item of an earlier answer."""

from typing import Annotated

import msgspec
from msgspec import Meta

from models.served_log.kinds import FeedbackConfig
from services.errors import NotFound, Unprocessable
from services.ingress.schema import parse_body
from services.logs.served import ServedLog
from services.stages.sent_items import ItemLayout

_SHOWN = 80  # characters of an id that are repeated in an error


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/feedback``.

    Attributes:
        event: the kind of feedback, one of the pipeline's ``feedback.kinds``.
        value: 0 to 1. Required if the kind takes a value. Other events must not have it.
    """

    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    item_id: Annotated[str, Meta(min_length=1)]
    event: str
    value: Annotated[float, Meta(ge=0, le=1)] | None = None


_decoder = msgspec.json.Decoder(FeedbackRequest)


def parse_feedback(body: bytes, config: FeedbackConfig) -> FeedbackRequest:
    """Parse a body.

    Raises:
        RequestError: the body is not JSON.
        Unprocessable: a field is missing, unknown, of another type or out of range, or the pipeline does not have the
            kind of feedback.
    """
    feedback = parse_body(_decoder, body)
    event = feedback.event
    if event not in config.kinds:
        remedy = (
            f"send one of {', '.join(config.kinds)}"
            if config.kinds
            else "declare feedback.kinds in the pipeline's YAML file"
        )
        raise Unprocessable(
            f"not a kind of feedback of this pipeline, got {event[:_SHOWN]!r}; {remedy}", field="event"
        )
    if feedback.value is None and config.takes_value(event):
        raise Unprocessable(f"missing, {event} needs one; send a value from 0 to 1", field="value")
    if feedback.value is not None and not config.takes_value(event):
        raise Unprocessable(f"{event} takes none, got {feedback.value:g}; leave it out", field="value")
    return feedback


def log_feedback(body: bytes, config: FeedbackConfig, items: ItemLayout, log: ServedLog | None) -> None:
    """Write the event in a body to the served log.

    Raises:
        NotFound: the pipeline has no served log.
        RequestError: the body is not JSON.
        Unprocessable: the body is no feedback of this pipeline, or no answer of this pipeline can have the item.
        QueueFull: the log's queue is full.
    """
    if log is None:
        raise NotFound("this pipeline logs no feedback; add log to its YAML file", field="path")
    feedback = parse_feedback(body, config)
    value = 1.0 if feedback.value is None else feedback.value
    log.feedback(feedback.request_id, items.key_of(feedback.item_id), feedback.event, value)
