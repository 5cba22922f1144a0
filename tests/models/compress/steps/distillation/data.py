"""Lists of the small world as a recipe's data."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import write_artifact
from models.assembly import InputAssembler
from models.compress.steps.base import Data, Model, Split, Work
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.signature import Signature
from models.training.examples.lists import Lists
from models.training.examples.usable_lists import thinned
from models.training.export import ONNX, SAFETENSORS, weight_writer
from models.training.scoring import score
from models.training.splits import Labelled
from tests.models.worlds import FEATURES, make_impressions


class SmallData:
    """Lists in which the item that fits the user's profile best has label 1."""

    def __init__(self, catalogue: Catalogue, splits: Mapping[Split, Labelled]) -> None:
        self.catalogue = catalogue
        self._splits = splits

    @classmethod
    def drawn(cls, folder: Path, catalogue: Catalogue) -> "SmallData":
        splits: dict[Split, Labelled] = {}
        counts: dict[Split, int] = {"train": 300, "select": 60, "report": 60}
        for seed, (name, count) in enumerate(counts.items()):
            make_impressions(folder / name, catalogue, count, seed)
            splits[name] = read_impressions(
                folder / name, feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys
            )
        return cls(catalogue, splits)

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        batch, labels = thinned(*self._splits[split], limit)
        return Lists(batch, labels, InputAssembler(signature, self.catalogue, whole_lists=True))

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        module = build_architecture(teacher.artifact.architecture)
        module.load_state_dict(load_file(teacher.root / SAFETENSORS))
        scores = score(module, self.lists(split, teacher.artifact.signature, limit))
        lists = self.lists(split, signature, limit)
        return replace(lists, batch=lists.batch.adding(candidates={"score": scores}))


def make_model(root: Path, module: Architecture) -> Model:
    """Write an artifact of a module."""
    signature = module.signature(FEATURES.content_hash)
    artifact = write_artifact(
        root,
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=module.options.model_dump(mode="json"),
    )
    return Model(root, artifact)


class Killed(Exception):
    """Raised in place of a kill."""


def make_work(scratch: Path, original: Model, data: Data, *, kill_at: int | None = None) -> Work:
    """Return what a step may use. Its progress raises Killed after ``kill_at`` steps."""

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        if done == kill_at:
            raise Killed

    return Work(original=original, data=data, scratch=scratch, key="1", progress=progress)
