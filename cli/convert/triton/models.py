"""The models of a Triton repository: their tensors, back ends and weights."""

from dataclasses import dataclass
from pathlib import Path

from cli.convert.section import Section
from cli.convert.sources import source_text
from cli.convert.triton.text_format import parsed
from services.errors import ConfigError

CONFIG = "config.pbtxt"
_DTYPES = {
    "BOOL": "uint8",
    "UINT8": "uint8",
    "UINT16": "int32",
    "UINT32": "int64",
    "UINT64": "int64",
    "INT8": "int8",
    "INT16": "int32",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BF16": "float32",
    "STRING": "text",
}
_SAME = {"UINT8", "INT8", "INT32", "INT64", "FP16", "FP32", "FP64", "STRING"}
_BACKENDS = {
    "onnxruntime_onnx": "onnxruntime",
    "tensorrt_plan": "tensorrt",
    "pytorch_libtorch": "pytorch",
    "tensorflow_savedmodel": "tensorflow",
    "tensorflow_graphdef": "tensorflow",
    "openvino_ir": "openvino",
}
CODE_BACKENDS = frozenset({"python", "dali", "identity", "repeat", "square", "nvtabular", "merlin"})
"""Back ends that run code of the user, not a model."""
_WEIGHTS = {
    "onnxruntime": "model.onnx",
    "tensorrt": "model.plan",
    "pytorch": "model.pt",
    "tensorflow": "model.savedmodel",
    "openvino": "model.xml",
    "fil": "xgboost.json",
    "python": "model.py",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        kind: Triton's type, such as FP32.
        dims: the trailing shape, without the batch. -1 is a variable size.
        ragged: whether requests with different shapes share a batch.
    """

    name: str
    kind: str
    dims: tuple[int, ...]
    ragged: bool

    @property
    def dtype(self) -> str:
        """The dtype of a feature that feeds it."""
        return _DTYPES[self.kind]

    @property
    def is_same_type(self) -> bool:
        """Whether the feature's dtype is that of the tensor."""
        return self.kind in _SAME


@dataclass(frozen=True, slots=True)
class Model:
    """One folder of the repository.

    Attributes:
        folder: the folder, relative to the repository.
        config: the other fields of its config.pbtxt.
        backend: the back end, such as onnxruntime. Empty if the configuration names none.
    """

    name: str
    folder: Path
    config: Section
    backend: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def is_ensemble(self) -> bool:
        """Whether it only joins other models."""
        return self.backend == "ensemble" or "ensemble_scheduling" in self.config

    @property
    def is_code(self) -> bool:
        """Whether it runs code of the user."""
        return self.backend in CODE_BACKENDS

    def weights(self, version: int) -> str:
        """Return the weights of a version, relative to the repository. -1 is the newest version."""
        versions = [int(path.name) for path in self.folder.glob("[0-9]*") if path.name.isdigit()]
        number = version if version > 0 else max(versions, default=1)
        default = _WEIGHTS.get(self.backend, "model")
        return f"{self.name}/{number}/{self.config.text('default_model_filename') or default}"


def read_models(repository: Path) -> dict[str, Model]:
    """Read every model of a repository, by name.

    Raises:
        ConfigError: the folder has no models, or a config.pbtxt cannot be read.
    """
    try:
        paths = sorted(repository.glob(f"*/{CONFIG}"))
    except OSError as error:
        raise ConfigError(f"{repository}: cannot be read: {error}") from error
    if not paths:
        raise ConfigError(
            f"{repository}: expected a folder of models, each with a {CONFIG}; name Triton's model repository"
        )
    return {model.name: model for model in map(_read, paths)}


def _read(path: Path) -> Model:
    file = f"{path.parent.name}/{CONFIG}"
    config = Section(parsed(source_text(path), str(path)), "", file)
    name = config.text("name") or path.parent.name
    if name != path.parent.name:
        raise config.error("name", f"expected the name of its folder, {path.parent.name}", name)
    platform = config.text("platform")
    backend = config.text("backend") or _BACKENDS.get(platform, platform.partition("_")[0])
    is_batched = config.integer("max_batch_size", 0) > 0
    inputs, outputs = (
        tuple(_tensor(section, is_batched) for section in config.sections(key)) for key in ("input", "output")
    )
    return Model(name, path.parent, config, backend, inputs, outputs)


def _tensor(section: Section, is_batched: bool) -> Tensor:
    name, kind = section.text("name"), section.text("data_type").removeprefix("TYPE_")
    if not name:
        raise section.error("name", "expected the name of a tensor", name)
    if kind not in _DTYPES:
        raise section.error(
            "data_type", f"expected a type such as TYPE_FP32, one of {', '.join(_DTYPES)}", kind
        )
    dims = section.integers("dims")
    if "reshape" in section:  # the shape that the model itself reads
        dims = section.section("reshape").integers("shape")
    if any(size < -1 or size == 0 for size in dims):
        raise section.error("dims", "expected sizes above 0, or -1", dims)
    trailing = dims if is_batched else dims[1:]
    return Tensor(name, kind, tuple(trailing), section.get("allow_ragged_batch") is True)
