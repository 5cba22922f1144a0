"""The journal: Optuna's own journal class can read it."""

from pathlib import Path

from optuna.storages.journal import JournalFileBackend

from autoscale.tuner.journal import Journal


def test_optunas_own_journal_reads_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append_logs([{"op_code": 1}, {"op_code": 2}])
    Journal(path).append_logs([{"op_code": 3}])
    assert [log["op_code"] for log in JournalFileBackend(str(path)).read_logs(1)] == [2, 3]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["journal"]
