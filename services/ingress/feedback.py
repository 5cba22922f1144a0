"""The request of ``POST /v1/feedback``: what a user did with an item of an answered list."""

from typing import Annotated

import msgspec
from msgspec import Meta

from models.served_log.schema import Event
from services.errors import Unprocessable
from services.ingress.schema import parse_body


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/feedback``. value: the rating, 0 to 1, of event rated; no other event has one."""

    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    item_id: Annotated[str, Meta(min_length=1)]
    event: Event
    value: Annotated[float, Meta(ge=0, le=1)] | None = None


_decoder = msgspec.json.Decoder(FeedbackRequest)


def parse_feedback(body: bytes) -> FeedbackRequest:
    """Parse a body.

    Raises:
        RequestError: it is not JSON. Unprocessable: a field is missing, unknown, of another type or out of range.
    """
    feedback = parse_body(_decoder, body)
    if (feedback.value is not None) != (feedback.event == "rated"):
        remedy = "give the rating, 0 to 1" if feedback.value is None else "drop it"
        raise Unprocessable(
            f"value goes with event rated, and only with it; the event is {feedback.event}: {remedy}",
            field="value",
        )
    return feedback
