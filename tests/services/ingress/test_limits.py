import pytest

from services.config.limits import RequestsConfig
from services.errors import Unprocessable
from services.ingress.limits import check_limits
from services.ingress.schema import RankRequest

LIMITS = RequestsConfig(max_k=50, max_deadline_ms=2000, max_priority=3)


def test_accepts_request_at_its_limits() -> None:
    check_limits(RankRequest("u", k=50, deadline_ms=2000, priority=3), LIMITS)
    check_limits(RankRequest("u"), LIMITS)


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (RankRequest("u", k=51), "k: above requests.max_k of this pipeline, got 51; send at most 50"),
        (
            RankRequest("u", deadline_ms=2000.5),
            "deadline_ms: above requests.max_deadline_ms of this pipeline, got",
        ),
        (RankRequest("u", priority=4), "priority: above requests.max_priority of this pipeline, got 4;"),
    ],
    ids=["k", "deadline_ms", "priority"],
)
def test_rejects_value_above_its_limit_and_names_the_field(request_: RankRequest, detail: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        check_limits(request_, LIMITS)
    assert refused.value.detail.startswith(detail)
    assert refused.value.field == detail.partition(":")[0]
