"""Makes the DLRM pipelines in configs/dlrm.yaml and configs/dlrm-store.yaml, with random weights and data.

    python -m benchmarks.cases.dlrm [--rows 100000] [--items 20000] [--users 20000]

In the data home it writes ``dlrm/`` with ``features.yaml``, ``catalogue/``, ``users.lmdb/`` and ``artifact/`` (ONNX and
the same weights in safetensors). It also writes ``dlrm-store/artifact/``, which reads its dense features from the user
store. The model has the shape that published serving benchmarks use (Naumov et al. 2019, arXiv:1906.00091). Like a
user's own model, it consists of an artifact and YAML, and needs no code in services/.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from models.architectures.options import DlrmOptions
from models.artifact import Artifact
from models.errors import ArtifactError
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.paths import home_directory
from services.stores.lmdb import LmdbStore

PIPELINES = ("dlrm", "dlrm-store")
_SEED = 20_190_531
_BLANK_DETAILS = b'{"type":"Feature","geometry":null,"properties":{}}'


def features_of(options: DlrmOptions) -> FeatureSet:
    """Return the features of both pipelines. One pipeline reads dense features of items, the other of users."""
    dense = Feature(
        name="dense",
        group="item",
        shape=(options.dense,),
        description="random numbers, normally distributed",
    )
    sparse = Feature(
        name="sparse",
        group="item",
        dtype="int64",
        shape=(options.fields,),
        description="row numbers in the embedding tables",
    )
    return FeatureSet(features=(dense, dense.model_copy(update={"group": "user"}), sparse))


def build(home: Path, *, rows: int = 100_000, items: int = 20_000, users: int = 20_000) -> None:
    """Make both pipelines. Existing pipelines are replaced."""
    from benchmarks.cases.dlrm_export import write_dlrm

    options = DlrmOptions(rows=rows)
    features = features_of(options)
    _write_data(home / "dlrm", features, options, items, users)
    for pipeline in PIPELINES:
        variant = options.model_copy(update={"dense_per_request": pipeline == "dlrm-store"})
        write_dlrm(home / pipeline / "artifact", pipeline, variant, features.content_hash, seed=_SEED)


def build_if_missing(home: Path) -> None:
    """Make both pipelines, unless they exist. Report it on standard error, because it takes a while."""
    if not is_built(home):
        sys.stderr.write(f"building the DLRM pipelines under {home}\n")
        build(home)


def is_built(home: Path) -> bool:
    """Return whether both pipelines exist and are complete."""
    try:
        for pipeline in PIPELINES:
            Artifact.load(home / pipeline / "artifact")
    except ArtifactError:
        return False
    return (home / "dlrm" / "users.lmdb").exists()


def user_id(number: int) -> str:
    """Return a user's id in the store."""
    return f"u-{number:06d}"


def _write_data(root: Path, features: FeatureSet, options: DlrmOptions, items: int, users: int) -> None:
    random = np.random.default_rng(_SEED)
    root.mkdir(parents=True, exist_ok=True)
    (root / "features.yaml").write_text(yaml.safe_dump(features.model_dump(mode="json"), sort_keys=False))
    write_catalogue(
        root / "catalogue",
        name="dlrm",
        version=f"random-{_SEED}-{items}x{options.rows}",
        features=features,
        ids=[f"i-{number:06d}" for number in range(items)],
        columns={
            "dense": random.standard_normal((items, options.dense), dtype=np.float32),
            "sparse": random.integers(0, options.rows, (items, options.fields)),
        },
        details=[_BLANK_DETAILS] * items,
    )
    store = LmdbStore(root / "users.lmdb", readonly=False)
    try:
        store.write_many(_user_rows(features, options, users))
    finally:
        store.close()


def _user_rows(features: FeatureSet, options: DlrmOptions, users: int) -> Iterator[tuple[bytes, bytes]]:
    random = np.random.default_rng(_SEED)
    codec = UserRowCodec(features)
    for number in range(users):
        dense = random.standard_normal(options.dense, dtype=np.float32)
        yield row_key("user", user_id(number).encode()), codec.encode({"dense": dense})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.cases.dlrm", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows in each of the 26 tables")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args(arguments)
    home = home_directory()
    build(home, rows=options.rows, items=options.items, users=options.users)
    sys.stdout.write(f"{', '.join(str(home / pipeline) for pipeline in PIPELINES)}: built\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
