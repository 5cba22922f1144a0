"""The measured workloads: a pipeline's YAML, a candidate count, and the request bodies."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import yaml

from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_USERS = 997  # distinct bodies, used in a cycle. A prime, so that the cycle is not in step with the clients


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload.

    Attributes:
        candidates: candidates scored per request.
        k: items that a request asks for.
    """

    name: str
    config: Path
    candidates: int
    k: int

    def bodies(self) -> list[bytes]:
        """Return the request bodies, one per user."""
        return [
            json.dumps({"user_id": f"u-{user:06d}", "k": self.k}, separators=(",", ":")).encode()
            for user in range(_USERS)
        ]

    def pipeline(self) -> PipelineConfig:
        """Return the pipeline with this workload's candidate count."""
        pipeline = load_config(self.config)
        data = pipeline.model_dump(mode="json")
        data["candidates"]["count"] = self.candidates
        data["candidates"]["max_count"] = max(self.candidates, pipeline.candidates.max_count)
        return PipelineConfig.model_validate(data)

    @property
    def requests_a_call(self) -> float:
        """The most requests in one call of the ranker's model. Infinite without micro-batches."""
        pipeline = self.pipeline()
        most = pipeline.models[pipeline.required_ranker().model].micro_batch_candidates
        return math.inf if most is None else max(1, most // self.candidates)

    def require(self, home: Path) -> None:
        """Check that the home has the workload's data and models.

        Raises:
            RuntimeError: something is missing. The message has a line for each fault.
        """
        faults = check_artifacts(self.pipeline(), home)
        if faults:
            raise RuntimeError("\n".join([f"{self.name} cannot be served:", *faults]))

    @contextmanager
    def config_file(self, changes: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> Iterator[Path]:
        """Write the pipeline's YAML to a temporary file, with changes to some sections' fields."""
        data = self.pipeline().model_dump(mode="json")
        for section, fields in changes.items():
            data[section] |= fields
        with yaml_file(self.name, data) as path:
            yield path


@contextmanager
def yaml_file(name: str, data: Mapping[str, Any]) -> Iterator[Path]:
    """Write a pipeline as YAML to a temporary file."""
    with TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        yield path


def _workloads() -> Iterator[Workload]:
    # All 32 scores are returned, as in the servers that this workload is compared with.
    yield Workload("dlrm", CONFIGS / "dlrm.yaml", candidates=32, k=32)
    yield Workload("dlrm-store", CONFIGS / "dlrm-store.yaml", candidates=32, k=32)
    for count in (50, 200, 1000):
        yield Workload(f"walks-{count}", CONFIGS / "walks.yaml", candidates=count, k=10)


WORKLOADS: Mapping[str, Workload] = MappingProxyType({workload.name: workload for workload in _workloads()})
