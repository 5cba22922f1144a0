"""Feature definitions for Vespa's attributes, query inputs and rank features."""

import re
from typing import Any

from cli.convert.draft import Draft
from cli.convert.vespa.profile import Call, Profile

MODELS = frozenset({"onnx", "onnxModel", "lightgbm", "xgboost"})
TOKENS = {"tokenInputIds": "tokens.ids", "tokenAttentionMask": "tokens.mask", "tokenTypeIds": "tokens.types"}
"""Functions that make the inputs of a cross-encoder, and the sources that take their place."""
_TENSOR = re.compile(r"tensor(?:<(\w+)>)?\((.*)\)")
_DTYPES = {
    "int": "int32",
    "long": "int64",
    "byte": "int8",
    "bool": "uint8",
    "float": "float32",
    "double": "float64",
    "int8": "int8",
    "bfloat16": "float32",
}
_TEXT = frozenset(
    {
        *(
            "bm25",
            "nativeRank",
            "nativeFieldMatch",
            "nativeProximity",
            "nativeAttributeMatch",
            "nativeDotProduct",
        ),
        *("fieldMatch", "fieldTermMatch", "fieldLength", "textSimilarity", "elementCompleteness"),
        *(
            "elementSimilarity",
            "term",
            "terms",
            "termDistance",
            "matches",
            "match",
            "matchCount",
            "queryTermCount",
        ),
        *("attributeMatch", "rawScore", "itemRawScore", "distanceToPath", "userQuery"),
    }
)
_NEAR = frozenset({"closeness", "distance"})
_AGES = frozenset({"age", "freshness"})
_FUSION = frozenset({"reciprocal_rank", "reciprocal_rank_fusion", "normalize_linear"})
_WITHOUT = {
    "constant": "put the constant into the model's graph",
    "random": "Rankway's answers are reproducible, so there is no random feature",
    "dotProduct": "a product of sparse vectors: compute it in the model's graph, over dense ones",
}


def convert_call(draft: Draft, profile: Profile, fields: dict[str, str], call: Call) -> str | None:
    """Add the feature behind a rank feature, with its finding.

    Returns:
        The source in a model's signature, or None if there is none.
    """
    name, place = call.name, call.text
    if name == "attribute" and call.is_call:
        return _typed(draft, "item", call.argument, fields.get(call.argument, ""), place)
    if name == "query" and call.is_call:
        kind, default = profile.inputs.get(call.argument, "double"), profile.defaults.get(call.argument)
        return _typed(draft, "context", call.argument, kind, place, default)
    if name in {"firstPhase", "secondPhase", "relevanceScore"}:
        draft.mapped(place, "candidate.score", "the score of the stage before")
        return "candidate.score"
    if name == "now":
        column = draft.feature("context", "now_s", dtype="float64")
        draft.mapped(place, column, "the caller sends the time")
        return column
    if name in _AGES and call.is_call:
        note = "epoch seconds. The model's graph subtracts it from context.now_s"
        draft.feature("context", "now_s", dtype="float64")
        column = draft.feature("item", f"{call.argument}_at_s", note, dtype="float64")
        draft.decide(place, column, note)
        return column
    if name in _NEAR:
        return _near(draft, fields, call)
    if name in TOKENS:
        return TOKENS[name]
    if name in _FUSION:
        draft.none(name, "joins two orders of the items. Write a stage, or train a reranker on both scores")
    elif name in _TEXT:
        draft.none(place, "a text match. Let Vespa find the candidates, or score texts with a text ranker")
    elif name in _WITHOUT:
        draft.none(place, _WITHOUT[name])
    return None


def _near(draft: Draft, fields: dict[str, str], call: Call) -> str | None:
    field = call.argument.rpartition(",")[2].strip()
    if field not in fields:
        draft.none(call.text, "its vector is not a field of the schema")
        return None
    column = _typed(draft, "item", field, fields[field], f"field {field}")
    draft.decide(
        call.text, column or "", "Rankway has no vector search. The model's graph multiplies both vectors"
    )
    return column


def _typed(
    draft: Draft, group: Any, name: str, kind: str, place: str, default: float | None = None
) -> str | None:
    """Add a feature with the type of a field or query input."""
    tensor = _TENSOR.fullmatch(kind.strip())
    if tensor is not None:
        sizes = re.findall(r"\w+\s*\[\s*(\d*)\s*\]", tensor[2])
        dense = "{" not in tensor[2] and all(size.isdigit() and 0 < int(size) < 10**6 for size in sizes)
        if not dense or not sizes:
            draft.none(
                place, f"{kind}: features have a fixed shape. Use a ragged user feature, or a dense tensor"
            )
            return None
        cell = _DTYPES.get(tensor[1] or "double", "float32")
        shape = [int(size) for size in sizes]
        note = kind
        while len(shape) > 1 and shape[0] == 1:  # Vespa's models score one item at a time
            shape, note = shape[1:], f"{kind}, without the batch of one"
        column: str = draft.feature(group, name, dtype=cell, shape=shape)
        draft.mapped(place, column, note)
        return column
    if kind in _DTYPES:
        dtype = "float32" if group == "context" and kind == "double" else _DTYPES[kind]
        fields: dict[str, Any] = {"dtype": dtype} | ({} if default is None else {"default": default})
        column = draft.feature(group, name, **fields)
        draft.mapped(place, column, kind)
        return column
    if kind == "string" and group == "context":
        column = draft.feature(group, name, dtype="text", max_length=512)
        draft.mapped(place, column, "text, at most 512 bytes")
        return column
    if kind == "string":
        note = "a text has no number: choose a code for each value"
        column = draft.feature(group, name, note, dtype="int32")
        draft.decide(place, column, note)
        return column
    draft.none(place, f"{kind or 'not a field of the schema'}: features are numbers with a fixed shape")
    return None
