from benchmarks.features import as_text, measure
from tests.services.stores.servers import needs_redis


@needs_redis
def test_request_needs_one_command_for_any_number_of_candidates() -> None:
    result = measure(None, repeats=2, ours_count=50, feast_count=0)
    ours = result["rankway"]
    assert 1 <= ours["commands"] < 1.5  # the INFO commands are counted too, over all requests
    assert 200 <= ours["bytes_out"] < 500  # 50 float32 and their framing, and no item
    assert ours["whole_p50_ms"] >= ours["user_p50_ms"] > 0
    assert "rankway" in as_text(result)
