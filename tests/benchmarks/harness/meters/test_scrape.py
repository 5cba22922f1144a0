from pathlib import Path

import pytest

from benchmarks.harness.meters.scrape import metrics_url, total

TEXT = """# TYPE ray_rankway_batch_candidates histogram
ray_rankway_batch_candidates_bucket{le="16.0",unit="ranker"} 3
ray_rankway_batch_candidates_sum{replica="a",unit="ranker"} 640.0
ray_rankway_batch_candidates_sum{replica="b",unit="ranker"} 1.5e2
ray_rankway_batch_candidates_sum{replica="c",unit="ingress"} 99.0
ray_rankway_unlabelled 7
"""


def test_sums_samples_of_a_unit_over_its_replicas() -> None:
    assert total(TEXT, "ray_rankway_batch_candidates_sum", 'unit="ranker"') == 790.0
    assert total(TEXT, "ray_rankway_unlabelled", "") == 7.0
    assert total(TEXT, "ray_rankway_missing", "") == 0.0


def test_metrics_address_is_read_from_the_services_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ready\nPrometheus metrics: http://127.0.0.1:20133/metrics\n")
    assert metrics_url(log) == "http://127.0.0.1:20133/metrics"
    log.write_text("ready\n")
    with pytest.raises(RuntimeError, match="did not print the address of its metrics"):
        metrics_url(log)
