"""The two systems that ``benchmarks/features.py`` compares: our features stage and assembler, and Feast."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from models.features.view import FeatureView
from models.ragged import RaggedBatch, offsets_of
from models.signature import InputSpec, Signature
from services.stages.features import FeaturesStage
from services.stores import open_store, open_writer
from services.stores.kinds.redis import RedisConfig

FEATURES, ITEMS, USERS = 50, 2_000, 1_000


class Ours:
    """The features stage over Redis, and the assembly of a model's inputs."""

    def __init__(self, folder: Path, config: RedisConfig) -> None:
        """Write the catalogue and the store, and open them as a replica does."""
        names = range(FEATURES)
        features = FeatureSet(
            features=tuple(
                Feature(name=f"{group}_{i}", group=group) for group in ("user", "item") for i in names
            )
        )
        random = np.random.default_rng(0)
        columns = {f"item_{i}": random.random(ITEMS, dtype=np.float32) for i in names}
        write_catalogue(
            folder / "catalogue",
            name="features",
            version="1",
            features=features,
            ids=[f"i{item}" for item in range(ITEMS)],
            columns=columns,
            details=[b"{}"] * ITEMS,
        )
        codec = UserRowCodec(features)
        values = random.random((USERS, FEATURES), dtype=np.float32)
        writer = open_writer(config, folder)
        writer.write_many(
            (
                row_key("user", f"u{user}".encode()),
                codec.encode({f"user_{i}": values[user, i] for i in names}),
            )
            for user in range(USERS)
        )
        writer.close()
        signature = Signature(
            inputs=tuple(
                InputSpec(name=f"{group}_{i}", source=f"{group}.{group}_{i}")
                for group in ("user", "item")
                for i in names
            ),
            feature_hash=features.content_hash,
        )
        catalogue = Catalogue.open(folder / "catalogue")
        self._stage = FeaturesStage(FeatureView(features, catalogue), open_store(config, folder))
        self._assemble = InputAssembler(signature, catalogue)

    def read(self, user: int, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Make one request's inputs. Return the total seconds, and the seconds for the features stage."""
        batch = RaggedBatch(
            offsets=offsets_of(np.array([len(rows)])), rows=rows, user_keys=[f"u{user}".encode()]
        )
        started_s = time.perf_counter()
        batch = self._stage(batch)
        read_s = time.perf_counter()
        inputs = self._assemble(batch)
        ended_s = time.perf_counter()
        assert len(inputs) == 2 * FEATURES and not batch.missed_by(0), "the store gave no features"
        return ended_s - started_s, read_s - started_s

    def close(self) -> None:
        """Close the store."""
        self._stage.close()


class Feast:
    """Feast in its own environment, as a process that receives its requests through a pipe."""

    def __init__(self, python: Path, folder: Path, node: str) -> None:
        """Start the process, and let it load the same users and items."""
        script = Path(__file__).with_name("feast_side.py")
        self._process = subprocess.Popen(
            [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )
        users, items = [f"u{i}" for i in range(USERS)], [f"i{i}" for i in range(ITEMS)]
        self.version = self._ask(
            {"folder": str(folder), "redis": node, "features": FEATURES, "users": users, "items": items}
        )["feast"]

    def read(self, requests: Sequence[tuple[int, NDArray[np.int64]]]) -> dict[str, list[float]]:
        """Return each request's total seconds (``whole_s``), and its seconds for the user's features (``user_s``)."""
        documents = [{"user": f"u{user}", "items": [f"i{row}" for row in rows]} for user, rows in requests]
        times: dict[str, list[float]] = self._ask({"requests": documents})
        return times

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(30)

    def _ask(self, document: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the Feast process ended; its error is above")
        return json.loads(line)
