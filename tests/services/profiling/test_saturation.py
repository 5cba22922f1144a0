"""The load measurement waits for the replicas' records."""

from pathlib import Path

import pytest

from services.errors import ServiceError
from services.profiling import saturation
from services.profiling.sample_requests import SampleRequests
from services.profiling.saturation import measure_load
from tests.benchmarks.servers import OK
from tests.services.profiling.test_load_clients import with_server


def test_reports_batches_that_were_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation, "_RECORD_LIMIT_S", 0.0)

    async def records_nothing(_body: bytes) -> bytes:
        return OK

    with pytest.raises(ServiceError, match=r"expected recorded batches of \d+ requests, got {}"):
        with_server(
            records_nothing, lambda config: measure_load(config, tmp_path, 0.1, 0.001, SampleRequests())
        )
