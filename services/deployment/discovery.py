"""Where a pipeline's service runs: a note beside its releases while it does, for commands that speak to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import serve

from models.durable import write_file
from services.config.pipeline import PipelineConfig
from services.errors import ServiceError
from services.ray_internals.cluster import use_local_token

_NOTE = "cluster.txt"


@contextmanager
def announced(config: PipelineConfig, home: Path) -> Iterator[None]:
    """Leave a note of the running cluster's address while the block runs."""
    note = home / config.name / _NOTE
    note.parent.mkdir(parents=True, exist_ok=True)
    address: str = ray.get_runtime_context().gcs_address
    write_file(note, address)
    try:
        yield
    finally:
        if note.is_file() and note.read_text() == address:  # a service started since leaves its own
            note.unlink()


@contextmanager
def joined(config: PipelineConfig, home: Path) -> Iterator[bool]:
    """Join the cluster that serves the pipeline: ``$RAY_ADDRESS``, else the noted one; False where there is none.

    Raises:
        ServiceError: the cluster cannot be reached, or serves no such pipeline.
    """
    note = home / config.name / _NOTE
    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        if not note.is_file():
            yield False
            return
        address = note.read_text()
        # Ray does this itself if it finds a local cluster. If it is given an address, it goes by RAY_AUTH_MODE alone,
        # which it reads once, when it is imported; a cluster that `rankway serve` starts asks for the token.
        use_local_token()
    os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "0"  # calls of a command wait for their answers
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ServiceError(
            f"no Ray cluster answers at {address}, where {config.name} was served ({error}); start the service again, "
            f"or remove {note} if the service was killed"
        ) from error
    try:
        if config.name not in serve.status().applications:
            raise ServiceError(
                f"the cluster at {address} does not serve {config.name}; use the configuration that it serves"
            )
        yield True
    finally:
        ray.shutdown()
