"""A text reranker for the small pipeline. Its score is the sum of the token ids that it read."""

import json
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from models.artifact import write_artifact
from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.signature import InputSpec, PairSpec, Signature
from models.text.tokenizer import TOKENIZER
from tests.pipelines import FEATURES, merged

MOST_BYTES = 200
WORDS = ("quiet", "forest", "sea", "path", "café", "🌲")
QUERY = Feature(name="query", group="context", dtype="text", max_length=MOST_BYTES)
WITH_TEXTS: dict[str, Any] = {
    "models": {"reranker": {"artifact": "text", "runtime": {"kind": "onnx"}, "text": {"max_tokens": 64}}},
    "reranker": {"model": "reranker", "best": 30},
    "units": {"main": {"stages": ["features", "ranker", "reranker"]}},
}
_INPUTS = {"input_ids": "tokens.ids", "attention_mask": "tokens.mask"}
_SPECIAL = {"[PAD]": 0, "[CLS]": 100, "[SEP]": 200, "[UNK]": 7}
_IDS = {**_SPECIAL, **{word: 1000 * (i + 1) for i, word in enumerate(WORDS)}}

VOCABULARY = 1 + max(_IDS.values())


def add_texts(home: Path) -> None:
    """Add a query, item texts, and a model for both to the small pipeline under ``home``."""
    old = Catalogue.open(home / "catalogue")
    write_catalogue(
        home / "catalogue",
        name="small",
        version="2",
        features=FEATURES,
        ids=old.ids,
        columns={name: column[:] for name, column in old.columns.items()},
        details=[
            json.dumps({"id": item_id, "properties": {"text": text_of(item_id)}}).encode()
            for item_id in old.ids
        ],
        position_column="start",
    )
    features = FeatureSet(features=(*FEATURES.features, QUERY))
    (home / "features.yaml").write_text(yaml.safe_dump(features.model_dump(mode="json")))
    write_text_model(home / "text")
    path = home / "pipeline.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), WITH_TEXTS)))


def text_of(item_id: str) -> str:
    """Return an item's text: some words that depend on its number."""
    number = int(item_id.removeprefix("item-"))
    return " ".join(WORDS[(number + i) % len(WORDS)] for i in range(number % 5))


def score_of(query: str, item_id: str) -> float:
    """Return the model's score for a pair that is not truncated."""
    words = [*query.lower().split(), *text_of(item_id).split()]
    special = _SPECIAL["[CLS]"] + 2 * _SPECIAL["[SEP]"]
    return float(special + sum(_IDS.get(word, _SPECIAL["[UNK]"]) for word in words))


def write_text_model(root: Path, query: str = "context.query") -> None:
    """Write the artifact, which sums the token ids under the mask."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["input_ids", "attention_mask"], ["masked"]),
            helper.make_node("Cast", ["masked"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Constant", [], ["axis"], value_ints=[1]),
            helper.make_node("ReduceSum", ["numbers", "axis"], ["score"], keepdims=0),
        ],
        "small-text",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["p", "l"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["p"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def write(staging: Path) -> None:
        onnx.save(model, str(staging / "model.onnx"))
        _tokenizer().save(str(staging / TOKENIZER))

    write_artifact(
        root,
        name="small-text",
        signature=Signature(
            inputs=tuple(InputSpec(name=n, source=s, dtype="int64") for n, s in _INPUTS.items()),
            layout="pairs",
            pair=PairSpec(query=query, text="details.text", max_length=40),
        ),
        weights="model.onnx",
        write_files=write,
    )


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(_IDS, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 200), ("[CLS]", 100))
    return tokenizer
