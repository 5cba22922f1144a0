"""Find a pipeline's running service.

While the service runs, it keeps its cluster's address in a file next to its releases. Commands read the file to
connect.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import serve

from models.durable import write_file
from services.config.pipeline import PipelineConfig
from services.errors import ServiceError
from services.ray_internals.cluster import join_ray, use_local_token

_ADDRESS_FILE = "cluster.txt"


@contextmanager
def publish_address(config: PipelineConfig, home: Path) -> Iterator[None]:
    """Write the running cluster's address to a file, and remove the file after the block."""
    address_file = home / config.name / _ADDRESS_FILE
    address_file.parent.mkdir(parents=True, exist_ok=True)
    address: str = ray.get_runtime_context().gcs_address
    write_file(address_file, address)
    try:
        yield
    finally:
        if (
            address_file.is_file() and address_file.read_text() == address
        ):  # another service may have written its own address since
            address_file.unlink()


@contextmanager
def connect_to_service(config: PipelineConfig, home: Path) -> Iterator[bool]:
    """Join the cluster that serves the pipeline: ``$RAY_ADDRESS``, or else the address in the file.

    Yields:
        True after joining. False if there is no address.

    Raises:
        ServiceError: the cluster cannot be reached, or does not serve the pipeline.
    """
    address_file = home / config.name / _ADDRESS_FILE
    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        if not address_file.is_file():
            yield False
            return
        address = address_file.read_text()
        # A cluster that `rankway serve` starts requires Ray's token. Ray itself reads the token only if it finds a
        # local cluster. For a given address it only looks at RAY_AUTH_MODE, which it reads once, at import.
        use_local_token()
    os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "0"  # because a command waits for the results of its calls
    try:
        join_ray(address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ServiceError(
            f"no Ray cluster answers at {address}, where {config.name} was served ({error}); start the service again, "
            f"or remove {address_file} if the service was killed"
        ) from error
    try:
        if config.name not in serve.status().applications:
            raise ServiceError(
                f"the cluster at {address} does not serve {config.name}; give the YAML file with which the service was "
                f"started"
            )
        yield True
    finally:
        ray.shutdown()
