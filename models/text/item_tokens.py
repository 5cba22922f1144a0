"""The tokens of all item texts, made once for a catalogue and a tokenizer, and mapped by every replica.

The tokens are cached beside the catalogue in ``<catalogue>-tokens/<hash>.ids`` (int32, end to end) and ``<hash>.npy``
(offsets). The hash is over the items' details, the property, the tokenizer and the token limit. Texts are read,
tokenised and written 4,096 at a time. A killed writer leaves a temporary file, which the next writer removes. If
nothing can be written, for example on a read-only volume, each replica makes the tokens in its own memory on loading.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.artifact import sha256_of
from models.durable import remove_abandoned, replacing, sync_folder
from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, offsets_of
from models.text.tokenizer import PairTokenizer

_AT_ONCE = 4096
_LAYOUT = "1"


class _Details(msgspec.Struct):
    """An item's details. Only the properties are read."""

    properties: dict[str, msgspec.Raw] = {}


def item_tokens(catalogue: Catalogue, source: str, tokenizer: Path, max_tokens: int) -> RaggedArray:
    """Return the tokens of every item's text, int32, from the cache if it has them. Deltas are left out.

    Args:
        catalogue: the items, one text per row.
        source: "details.<property>".
        tokenizer: path of ``tokenizer.json``.
        max_tokens: maximum number of tokens per text.

    Raises:
        SignatureError: an item has no such text.
    """
    name, reader = _name_of(catalogue, source, tokenizer, max_tokens), PairTokenizer(tokenizer)
    folder = catalogue.root.with_name(f"{catalogue.root.name}-tokens")
    ids, offsets = folder / f"{name}.ids", folder / f"{name}.npy"
    base = catalogue.base
    tokens = _opened(ids, offsets, len(base))
    if tokens is None:
        with suppress(OSError):  # the folder is read-only, or its disk is full
            folder.mkdir(exist_ok=True)
            remove_abandoned(folder)
            with replacing(ids) as file:
                lengths = _tokenise(base, source, reader, max_tokens, file)
            with replacing(offsets) as file:
                np.save(file, offsets_of(lengths))
            sync_folder(folder)
        tokens = _opened(ids, offsets, len(base))
    if tokens is None:
        buffer = io.BytesIO()
        lengths = _tokenise(base, source, reader, max_tokens, buffer)
        tokens = RaggedArray(np.frombuffer(buffer.getbuffer(), dtype="<i4"), offsets_of(lengths))
    return tokens


def item_texts(catalogue: Catalogue, source: str, rows: range) -> Iterator[str]:
    """Yield the texts for the items in ``rows``.

    Raises:
        SignatureError: an item has no such text.
    """
    name = source.removeprefix("details.")
    decoder, text_decoder = msgspec.json.Decoder(_Details), msgspec.json.Decoder(str)
    for row in rows:
        try:
            yield text_decoder.decode(decoder.decode(catalogue.details(row)).properties[name])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            raise SignatureError(
                f"{source}: item {catalogue.ids[row]} of catalogue {catalogue.manifest.name} has no text "
                f"{name!r} in the properties of its GeoJSON details ({error!r}); name a text that all items have"
            ) from error


def _tokenise(
    catalogue: Catalogue, source: str, reader: PairTokenizer, max_tokens: int, file: BinaryIO
) -> NDArray[np.int64]:
    """Write all items' tokens to a file, and return the token count per item."""
    lengths = np.zeros(len(catalogue), dtype=np.int64)
    for first in range(0, len(catalogue), _AT_ONCE):
        rows = range(first, min(first + _AT_ONCE, len(catalogue)))
        tokens = reader.tokens(list(item_texts(catalogue, source, rows)), max_tokens)
        lengths[rows.start : rows.stop] = tokens.lengths
        file.write(tokens.values.astype("<i4").tobytes())
    return lengths


def _opened(ids: Path, offsets: Path, count: int) -> RaggedArray | None:
    """Map the tokens of ``count`` items. Return None if a file is missing or incomplete, as after a power cut."""
    try:
        bounds, size_bytes = np.load(offsets), ids.stat().st_size
        ascends = (
            bounds.dtype == np.int64 and bounds.shape == (count + 1,) and bool((np.diff(bounds) >= 0).all())
        )
        if not ascends or bounds[0] != 0 or bounds[-1] * np.dtype("<i4").itemsize != size_bytes:
            return None
        values = np.memmap(ids, dtype="<i4", mode="r") if size_bytes else np.zeros(0, dtype="<i4")
    except (OSError, ValueError, EOFError):
        return None
    return RaggedArray(np.asarray(values), bounds)


def _name_of(catalogue: Catalogue, source: str, tokenizer: Path, max_tokens: int) -> str:
    digest = hashlib.sha256(f"{_LAYOUT}|{source}|{max_tokens}|{sha256_of(tokenizer)}".encode())
    for part in ("details.npy", "details_offsets.npy"):
        digest.update(sha256_of(catalogue.root / part).encode())
    return digest.hexdigest()[:24]
