"""The pipeline's limits on a request."""

from services.config.limits import RequestsConfig
from services.errors import Unprocessable
from services.ingress.schema import RankRequest


def check_limits(request: RankRequest, limits: RequestsConfig) -> None:
    """Check a request against the pipeline's limits.

    Raises:
        Unprocessable: a value is above its limit. The message names the field and the limit.
    """
    deadline_ms = request.deadline_ms or 0.0
    if (
        request.k <= limits.max_k
        and deadline_ms <= limits.max_deadline_ms
        and request.priority <= limits.max_priority
    ):
        return
    for field, value, cap in (
        ("k", request.k, limits.max_k),
        ("deadline_ms", deadline_ms, limits.max_deadline_ms),
        ("priority", request.priority, limits.max_priority),
    ):
        if value > cap:
            raise Unprocessable(
                f"above requests.max_{field} of this pipeline, got {value:g}; send at most {cap:g}",
                field=field,
            )
