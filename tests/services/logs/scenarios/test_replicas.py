"""The log of a real two-replica service is complete after a stop, and readable after a kill."""

from pathlib import Path

import pytest

from models.served_log.reading import read_lists
from tests.pipelines import FEATURES
from tests.services.processes import load, served

pytestmark = pytest.mark.slow


def test_stopped_service_has_logged_every_answer(tmp_path: Path) -> None:
    changes = {"log": {"path": "served"}, "units": {"main": {"replicas": 2}}}
    with served(tmp_path, changes) as service:
        with load(service.port, 8) as asked:
            asked.wait_for(300, replicas=2)
        assert asked.wrong == []
        service.interrupt()
    batch = read_lists([tmp_path / "served"], FEATURES)
    assert len(batch.batch) == asked.statuses[200]
    assert not list((tmp_path / "served").glob("*.writing"))


def test_killed_replica_leaves_complete_files(tmp_path: Path) -> None:
    changes = {"log": {"path": "served", "roll_s": 0.3}, "units": {"main": {"replicas": 2}}}
    with served(tmp_path, changes) as service:
        with load(service.port, 8) as asked:
            asked.wait_for(500, replicas=2)
            service.replicas("main")[0].kill()
            asked.wait_for(500)
        assert asked.wrong == []
        service.interrupt()
    batch = read_lists([tmp_path / "served"], FEATURES)
    assert 500 <= len(batch.batch) <= asked.statuses[200], "all that the others answered, whole"
