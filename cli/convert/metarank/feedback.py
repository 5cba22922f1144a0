"""Metarank's weights of interactions, as the pipeline's kinds of feedback."""

from cli.convert.draft import Draft
from cli.convert.section import Section
from models.served_log.kinds import FeedbackConfig

_DIGITS = 4


def convert_weights(draft: Draft, weights: Section) -> None:
    """Convert the weights of a model. The largest one becomes the relevance 1.

    Raises:
        ConfigError: a weight is no number.
    """
    numbers = {str(kind): weights.number(kind) or 0.0 for kind, _ in weights.items()}
    largest = max(numbers.values(), default=0.0)
    kinds = {kind: round(number / largest, _DIGITS) for kind, number in numbers.items() if largest > 0}
    if not kinds or not _is_valid(kinds):
        draft.decide(
            weights.path,
            "feedback.kinds",
            "declare each kind with a relevance from 0 to 1. These names or weights cannot be taken over",
        )
        return
    draft.set("feedback.kinds", kinds, weights.path)
    draft.mapped(
        weights.path, "feedback.kinds", f"the relevance from 0 to 1: the weight by the largest, {largest:g}"
    )


def _is_valid(kinds: dict[str, float]) -> bool:
    try:
        FeedbackConfig(kinds=kinds)
    except ValueError:
        return False
    return True
