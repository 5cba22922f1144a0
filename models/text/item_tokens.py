"""The tokens of all items' texts: made once for a catalogue and a tokenizer, and mapped by every replica.

They lie beside the catalogue, ``<catalogue>-tokens/<hash>.ids`` (int32, end to end) and ``<hash>.npy`` (offsets), by a
hash of what they follow from. Memory is bounded: texts are read, tokenised and written some thousands at a time.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from models.artifact import sha256_of
from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, offsets_of
from models.text.tokenizer import PairTokenizer

_AT_ONCE = 4096
_LAYOUT = "1"


class _Details(msgspec.Struct):
    """An item's details, of which only the properties are read."""

    properties: dict[str, msgspec.Raw] = {}


def item_tokens(catalogue: Catalogue, source: str, tokenizer: Path, most: int) -> RaggedArray:
    """Give the tokens of every item's text, int32, at most ``most`` of each; from the cache, or made now.

    source: "details.<property>".

    Raises:
        SignatureError: an item has no such text.
    """
    name = _name_of(catalogue, source, tokenizer, most)
    folder = catalogue.root.with_name(f"{catalogue.root.name}-tokens")
    ids, offsets = folder / f"{name}.ids", folder / f"{name}.npy"
    if not offsets.is_file():  # it is written last: where it is, both are whole
        try:
            folder.mkdir(exist_ok=True)
        except OSError:  # a catalogue that may only be read: nothing is kept
            with tempfile.TemporaryDirectory(prefix="tokens-") as own:
                _write(Path(own) / "ids", Path(own) / "npy", catalogue, source, tokenizer, most)
                return _opened(Path(own) / "ids", Path(own) / "npy")
        _write(ids, offsets, catalogue, source, tokenizer, most)
    return _opened(ids, offsets)


def item_texts(catalogue: Catalogue, source: str, rows: range) -> Iterator[str]:
    """Give the texts of some of the items.

    Raises:
        SignatureError: an item has no such text.
    """
    wanted = source.removeprefix("details.")
    decoder, text_decoder = msgspec.json.Decoder(_Details), msgspec.json.Decoder(str)
    for row in rows:
        try:
            yield text_decoder.decode(decoder.decode(catalogue.details(row)).properties[wanted])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            raise SignatureError(
                f"{source}: item {catalogue.ids[row]} of catalogue {catalogue.manifest.name} has no text "
                f"{wanted!r} in the properties of its details ({error!r}): name one that all items have"
            ) from error


def _write(ids: Path, offsets: Path, catalogue: Catalogue, source: str, tokenizer: Path, most: int) -> None:
    """Write both files under names of this process's own, then rename: writers beside it write the same."""
    reader = PairTokenizer(tokenizer)
    lengths = np.zeros(len(catalogue), dtype=np.int64)
    new_ids, new_offsets = (path.with_name(f"{path.name}.{os.getpid()}") for path in (ids, offsets))
    try:
        with new_ids.open("wb") as file:
            for first in range(0, len(catalogue), _AT_ONCE):
                rows = range(first, min(first + _AT_ONCE, len(catalogue)))
                tokens = reader.tokens(list(item_texts(catalogue, source, rows)), most)
                lengths[rows.start : rows.stop] = np.diff(tokens.offsets)
                tokens.values.astype("<i4").tofile(file)
        with new_offsets.open("wb") as file:
            np.save(file, offsets_of(lengths))
        new_ids.rename(ids)
        new_offsets.rename(offsets)
    finally:
        new_ids.unlink(missing_ok=True)
        new_offsets.unlink(missing_ok=True)


def _opened(ids: Path, offsets: Path) -> RaggedArray:
    size_bytes = ids.stat().st_size
    values = np.memmap(ids, dtype="<i4", mode="r") if size_bytes else np.zeros(0, dtype="<i4")
    return RaggedArray(np.asarray(values), np.load(offsets))


def _name_of(catalogue: Catalogue, source: str, tokenizer: Path, most: int) -> str:
    digest = hashlib.sha256(f"{_LAYOUT}|{source}|{most}|{sha256_of(tokenizer)}".encode())
    for part in ("details.npy", "details_offsets.npy"):
        digest.update(sha256_of(catalogue.root / part).encode())
    return digest.hexdigest()[:24]
