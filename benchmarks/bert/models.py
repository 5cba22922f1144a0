"""The ladder's models, all with random weights: BERT-base, the 6-layer student, and the student in int8.

Without VNNI a CPU adds two products of 8 bits in 16 bits, which overflows. For such CPUs there is a static graph whose
weights have 7 bits.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.bert.mixes import MAX_LENGTH
from benchmarks.harness.quiet import say
from models.architectures.options import SequenceClassifierOptions
from models.artifact import Artifact, sha256_of, write_artifact
from models.errors import ArtifactError
from models.signature import Inputs, PairSpec
from models.text.tokenizer import TOKENIZER

if TYPE_CHECKING:
    from models.architectures.sequence_classifier import SequenceClassifier

BASE, STUDENT, DYNAMIC = "base", "student", "student-int8"
STATIC, STATIC_7_BITS = "student-int8-static", "student-int8-static-7-bits"
_SEED = 0
_Quantise = Callable[[Path, Path], None]
"""Reads the first graph and writes the second."""


@dataclass(frozen=True, slots=True)
class Size:
    """A model's shape.

    Attributes:
        layers: layers of the original. The student has half of them.
    """

    layers: int
    hidden: int
    heads: int

    def config(self, layers: int) -> dict[str, Any]:
        """Return the ``config.json`` of a BERT with this many layers."""
        return {
            "model_type": "bert",
            "num_labels": 1,
            "num_hidden_layers": layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.hidden,
            "vocab_size": 30_522,
            "pad_token_id": 0,
        }


SIZES: Mapping[str, Size] = MappingProxyType({"base": Size(12, 768, 12), "tiny": Size(2, 32, 2)})


def write_models(root: Path, size: Size, tokenizer: Path, calibration: Sequence[Inputs]) -> None:
    """Write the artifacts that are missing below ``root``, or that were made from something else.

    Args:
        root: the folder for the artifacts.
        size: the models' shape.
        tokenizer: the ``tokenizer.json`` of BERT.
        calibration: calls from which the static graph takes the ranges of its activations.
    """
    from models.text.hugging_face import write_text_artifact

    for name, layers in ((BASE, size.layers), (STUDENT, size.layers // 2)):
        architecture = _options(size, layers).model_dump(mode="json")
        if not _is_of(root / name, architecture=architecture, tokenizer=tokenizer, parent=None):
            module, is_student = build(size, layers), name == STUDENT
            write_text_artifact(
                root / name, module, tokenizer, name=name, onnx=is_student, lineage={"weights": "random"}
            )
    parent = Artifact.read(root / STUDENT).version
    graphs: Mapping[str, _Quantise] = {
        DYNAMIC: _quantise_dynamic,
        STATIC: partial(_quantise_static, calibration=calibration, reduce_range=False),
        STATIC_7_BITS: partial(_quantise_static, calibration=calibration, reduce_range=True),
    }
    for name, quantise in graphs.items():
        if not _is_of(root / name, architecture={}, tokenizer=tokenizer, parent=parent):
            _write_graph(root / name, root / STUDENT, name, quantise)


def build(size: Size, layers: int) -> "SequenceClassifier":
    """Return a BERT with random weights."""
    import torch

    from models.architectures.sequence_classifier import SequenceClassifier

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return SequenceClassifier(_options(size, layers)).eval()


def _options(size: Size, layers: int) -> SequenceClassifierOptions:
    pair = PairSpec(query="context.query", text="details.summary", max_length=MAX_LENGTH, pad_id=0)
    return SequenceClassifierOptions(config=size.config(layers), pair=pair, types=True)


def _is_of(root: Path, *, architecture: Mapping[str, Any], tokenizer: Path, parent: str | None) -> bool:
    """Return whether there is an artifact of this architecture, tokenizer and parent. Say if there is another one."""
    try:
        found = Artifact.read(root)
    except ArtifactError:
        return False
    own = (found.architecture, found.files.get(TOKENIZER), found.lineage.get("of"))
    if own == (architecture, sha256_of(tokenizer), parent):
        return True
    say(f"{root}: has another architecture, tokenizer or parent; it is made again")
    return False


def _write_graph(root: Path, student: Path, name: str, quantise: _Quantise) -> None:
    parent = Artifact.read(student)

    def write(staging: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantise(student / "model.onnx", staging / "model.onnx")
        shutil.copyfile(student / TOKENIZER, staging / TOKENIZER)

    write_artifact(
        root,
        name=name,
        signature=parent.signature,
        weights="model.onnx",
        write_files=write,
        lineage={"weights": "random", "of": parent.version},
    )


def _quantise_dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)


def _quantise_static(
    source: Path, target: Path, calibration: Sequence[Inputs], *, reduce_range: bool
) -> None:
    """Quantise with fixed activation ranges. OpenVINO fuses only such graphs into int8 kernels.

    Symmetric activations are 1.1 times as fast in OpenVINO as asymmetric ones. ONNX Runtime is slower with them.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._calls: Iterator[Inputs] = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._calls, None)

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=reduce_range,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        extra_options={"MatMulConstBOnly": True, "ActivationSymmetric": True},
    )


def quiet() -> None:
    """Silence the quantiser's advice to simplify the graph first, which changes nothing here."""
    logging.getLogger().setLevel(logging.ERROR)
