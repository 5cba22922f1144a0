"""The request and answer of ``POST /v1/rank``: parsed straight into typed values, checked at the door."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.features.definition import Feature, FeatureSet
from models.ragged import RaggedArray, offsets_of
from services.errors import RequestError, Unprocessable

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_SHOWN = 120  # characters of what a caller sent that go back in an error
ContextValue = float | list[float] | str
Body = TypeVar("Body")


class RankRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of ``POST /v1/rank``."""

    user_id: Annotated[str, Meta(min_length=1, max_length=128)]
    context: dict[str, ContextValue] = {}
    candidates: Annotated[list[str], Meta(min_length=1)] | None = None
    k: Annotated[int, Meta(ge=1, le=1000)] = 10
    deadline_ms: Annotated[float, Meta(gt=0, le=60_000)] | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    explain: bool = False


class Urgency(msgspec.Struct, gc=False):
    """What of a body decides whether there is time for it; the rest is skipped, unchecked."""

    priority: int = 0
    deadline_ms: float | None = None


_decoder = msgspec.json.Decoder(RankRequest)
_urgency_decoder = msgspec.json.Decoder(Urgency)


def read_urgency(body: bytes) -> Urgency | None:
    """Give a body's urgency; None where it cannot be read, which parsing will say better."""
    try:
        return _urgency_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parse_rank_request(body: bytes) -> RankRequest:
    """Parse a body.

    Raises:
        RequestError, Unprocessable: as ``parse_body``.
    """
    return parse_body(_decoder, body)


def parse_body(decoder: "msgspec.json.Decoder[Body]", body: bytes) -> Body:
    """Parse a body into the decoder's type.

    Raises:
        RequestError: it is not JSON (broken UTF-8, NaN and endless nesting included).
        Unprocessable: a field is missing, unknown, of another type or out of range; it is named.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = str(error)
        found = _PATH.search(message)
        field = (found["path"] if found else _named_field(message)) or "body"
        shown = message if len(message) <= 2 * _SHOWN else f"{message[: 2 * _SHOWN]}…"
        raise Unprocessable(f"{shown}: mend the field and send again", field=field[:_SHOWN]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not JSON that can be read: {error}", field="body") from error


def _named_field(message: str) -> str:
    """Give the field a path-less message of msgspec names: missing or unknown ones."""
    found = re.search(r"field `([^`]*)`", message)
    return found[1] if found else ""


class EncodedContext(NamedTuple):
    """A request's context. numbers: a row of them. texts: UTF-8 of each declared text, empty where none was sent."""

    numbers: list[float]
    texts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Slot:
    feature: Feature
    start: int
    width: int
    default: list[float]
    low: list[float]
    high: list[float]
    whole: bool


class ContextLayout:
    """The context features laid in one row of numbers, so that a batch of contexts is one array; and the texts."""

    def __init__(self, features: FeatureSet) -> None:
        """Lay out the set's context features in declared order."""
        self._slots: dict[str, _Slot] = {}
        start = 0
        for feature in features.given("context"):
            default = np.atleast_1d(feature.default_value()).astype(float).reshape(-1).tolist()
            kind = np.dtype(feature.dtype)
            limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
            low = float(limits.min) if feature.minimum is None else feature.minimum
            high = math.nextafter(limits.max, 0) if feature.maximum is None else feature.maximum
            self._slots[feature.name] = _Slot(
                feature,
                start,
                len(default),
                default,
                np.full(len(default), low).tolist(),
                np.full(len(default), high).tolist(),
                kind.kind in "iu",
            )
            start += len(default)
        self.width = start
        self._defaults = [value for slot in self._slots.values() for value in slot.default]
        self._texts = {feature.name: feature.max_length for feature in features.texts}

    def encode(self, context: dict[str, ContextValue]) -> EncodedContext:
        """Give the numbers and the texts, defaults where the caller says nothing.

        Raises:
            Unprocessable: an unknown name, another length, a value out of range; the field is named.
        """
        row = self._defaults.copy()
        for name, value in context.items():
            slot = self._slots.get(name)
            if slot is None:
                if name in self._texts:
                    continue
                raise Unprocessable(
                    f"context.{name[:_SHOWN]} is not a context feature of this pipeline, which has: "
                    f"{', '.join((*self._slots, *self._texts)) or 'none'}",
                    field=f"context.{name[:_SHOWN]}",
                )
            values = value if isinstance(value, list | str) else [value]
            if (
                isinstance(values, str)
                or len(values) != slot.width
                or isinstance(value, list) != bool(slot.feature.shape)
            ):
                wanted = f"a list of {slot.width} numbers" if slot.feature.shape else "a number"
                raise Unprocessable(
                    f"context.{name} is of another shape: send {wanted}", field=f"context.{name}"
                )
            for number, low, high in zip(values, slot.low, slot.high, strict=True):
                if not low <= number <= high or (slot.whole and not number.is_integer()):
                    raise Unprocessable(
                        f"context.{name} is {number}, allowed are {'whole numbers ' if slot.whole else ''}"
                        f"{low:g} to {high:g}: send one of these",
                        field=f"context.{name}",
                    )
            row[slot.start : slot.start + slot.width] = values
        texts = (
            tuple([_text(name, most, context) for name, most in self._texts.items()]) if self._texts else ()
        )
        return EncodedContext(row, texts)

    def sample(self) -> EncodedContext:
        """Give a context to warm up with: the defaults, and a few words for each text."""
        return self.encode({name: "warm up"[:most] for name, most in self._texts.items()})

    def columns(self, contexts: Sequence[EncodedContext]) -> dict[str, NDArray[Any]]:
        """Give the numbers' per-request columns by feature name, (B, ...), of the declared dtypes."""
        rows = [context.numbers for context in contexts]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), self.width)
        return {
            name: table[:, slot.start : slot.start + slot.width]
            .reshape(len(rows), *slot.feature.shape)
            .astype(slot.feature.dtype)
            for name, slot in self._slots.items()
        }

    def texts(self, contexts: Sequence[EncodedContext]) -> dict[str, RaggedArray]:
        """Give the texts as columns of a batch, by source: uint8, UTF-8, B of them end to end."""
        return {
            f"context.{name}": _laid([context.texts[place] for context in contexts])
            for place, name in enumerate(self._texts)
        }


def _text(name: str, most: int, context: dict[str, ContextValue]) -> bytes:
    value = context.get(name, "")
    if not isinstance(value, str):
        raise Unprocessable(f"context.{name} is no text: send a string", field=f"context.{name}")
    encoded = value.encode()
    if len(encoded) > most:
        raise Unprocessable(
            f"context.{name} takes {len(encoded)} bytes of UTF-8, at most {most} are allowed: send a shorter text",
            field=f"context.{name}",
        )
    return encoded


def _laid(texts: Sequence[bytes]) -> RaggedArray:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return RaggedArray(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets_of(lengths))


class RankedItem(msgspec.Struct, gc=False, omit_defaults=True):
    """One item of an answer; ``scores`` by stage when explain was asked for."""

    id: str
    score: float
    scores: dict[str, float] = {}


class RankResponse(msgspec.Struct, gc=False):
    """The answer of ``POST /v1/rank``; times in milliseconds."""

    request_id: str
    items: list[RankedItem]
    models: dict[str, str]
    degraded: str | None
    timings_ms: dict[str, float]
