"""The result in a terminal: tables with reasons, or blocks if there is no room."""

from models.compress.report.terminal import terminal_text
from models.compress.rows import Row
from tests.models.compress.report.results import result, row

FAILED = Row(label="b/01-prune", parent="a/01-x", kind="prune", state="failed", reason="heads: must be fewer")
RESULT = result(row("a/01-x", "accepted", 2.0, 0.0095), row("a/02-x", "rejected", 0.9, 0.05), FAILED)


def test_wide_terminal_shows_tables_with_each_reason_below_its_step() -> None:
    lines = terminal_text(RESULT, 200).splitlines()
    assert "avx512_vnni" in lines[0]
    (failed,) = (index for index, line in enumerate(lines) if line.strip() == "failed: heads: must be fewer")
    assert lines[failed - 1].split()[:4] == ["3", "b/01-prune", "a/01-x", "failed"]
    assert any("4 / 2.5" not in line and "1 / 1.25 (800)" in line for line in lines)
    assert any("-0.95% (-1.15% to -0.75%)" in line for line in lines)
    assert (
        "at most 1.0% loss of NDCG@10: original, 1.00x, loss 0.00% (0.00% to 0.00%). "
        "Point estimate within, interval not: a/01-x, 2.00x, loss 0.95% (0.75% to 1.15%)"
    ) in lines


def test_narrow_terminal_shows_a_block_for_each_step() -> None:
    text = terminal_text(RESULT, 100)
    assert "1: a/01-x\n  parent: original\n  state: accepted\n" in text
    assert "  p50 / p99 ms (calls), 200 candidates: 1 / 1.25 (800)\n" in text
    assert "  NDCG@10: change against original: -0.95% (-1.15% to -0.75%)\n" in text
    assert "  reason: heads: must be fewer\n" in text
