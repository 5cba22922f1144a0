"""The steps of the ladder that are served: their artifacts, and the pipeline with each of them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.bert.models import BASE, STATIC, STUDENT
from models.artifact import GOLDEN, Artifact, write_artifact

CONFIG = Path(__file__).resolve().parents[2] / "configs/bert-billion.yaml"
MODELS = Path("benchmarks/bert")
_TEXT, _MAX_LENGTH = "details.name", 24
_DEADLINE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is served.

    Attributes:
        source: its artifact among those of the ladder.
        folder: the folder of the served artifact.
        runtime: its runtime in the pipeline.
    """

    name: str
    source: str
    folder: str
    runtime: Mapping[str, Any] = field(default_factory=lambda: {"kind": "torch", "threads": 1})


SERVED = (
    Served("BERT-base", BASE, "served-base"),
    Served("6 layers", STUDENT, "served-student"),
    Served(
        "int8, as in the pipeline", STATIC, "served", {"kind": "openvino", "threads": 1, "shapes": "dynamic"}
    ),
)


def write_served(home: Path, served: Served) -> Artifact:
    """Write the artifact of a served model, over the names of routes.

    A pair has at most 24 tokens, the median of the mix: a query, and the beginning of a route's name.
    """
    source = home / MODELS / "base" / served.source
    original = Artifact.load(source)
    assert original.signature.pair is not None
    pair = original.signature.pair.model_copy(update={"text": _TEXT, "max_length": _MAX_LENGTH})
    architecture = dict(original.architecture)
    if architecture:
        architecture["pair"] = pair.model_dump()

    def write(staging: Path) -> None:
        for name in original.files:
            if name != GOLDEN:  # its requests have other lengths
                shutil.copyfile(source / name, staging / name)

    return write_artifact(
        home / MODELS / served.folder,
        name="bert-billion",
        signature=original.signature.model_copy(update={"pair": pair}),
        weights=original.weights,
        write_files=write,
        architecture=architecture,
        lineage=original.lineage,
    )


def pipeline_of(served: Served, folder: Path, cores: int) -> Path:
    """Write the pipeline with a model and with a fixed number of replicas, one for each core, and return the file.

    The pipeline's own node has 32 cores, and its policy would start more replicas than this machine has cores. The
    deadline is long, because BERT-base in PyTorch needs more than the pipeline's own.
    """
    document = yaml.safe_load(CONFIG.read_text())
    document["pools"]["local"]["cpus"] = cores
    document["units"]["main"]["replicas"] = cores
    document["autoscaling"]["bounds"]["main"] = {"min_replicas": cores, "max_replicas": cores}
    document["requests"]["default_deadline_ms"] = _DEADLINE_MS
    document["models"]["text"] |= {
        "artifact": str(MODELS / served.folder),
        "runtime": dict(served.runtime),
    }
    path = folder / CONFIG.name
    path.write_text(yaml.safe_dump(document))
    return path


def cost_per_million(rps: float, cores: int) -> float:
    """Return the cost of a million requests at full load, at the price of the pipeline's node."""
    pool = yaml.safe_load(CONFIG.read_text())["pools"]["local"]
    price_per_hour, node_cores = float(pool["price_per_hour"]), int(pool["cpus"])
    return price_per_hour / 3600 / (rps / cores * node_cores) * 1e6
