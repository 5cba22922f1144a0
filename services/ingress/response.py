"""Build a response from the request's part of a finished batch."""

from msgspec import UNSET

from services.ingress.schema import RankedItem, RankRequest, RankResponse
from services.releases.release import Release
from services.scheduling.job import Answer

_EXPLAINED = ("ranker", "reranker")


def rank_response(request: RankRequest, request_id: str, answer: Answer, release: Release) -> RankResponse:
    """Return the response to a request. ``release`` made the answer."""
    batch = answer.batch
    first = int(batch.offsets[answer.first])
    last = int(batch.offsets[answer.first + 1])
    ids = release.catalogue.ids
    rows, scores = batch.rows[first:last].tolist(), batch.candidates["score"][first:last].tolist()
    items = [RankedItem(ids[row], score) for row, score in zip(rows, scores, strict=True)]
    if request.explain:
        columns = {name: batch.candidates[name] for name in _EXPLAINED if name in batch.candidates}
        for index, item in enumerate(items, first):
            item.scores = {name: float(column[index]) for name, column in columns.items()}
    timings_ms = {"queue": answer.queued_ms, **answer.timings_ms}
    degraded = ",".join(batch.missed_by(answer.first)) or None
    is_unknown = batch.unknown_users is not None and bool(batch.unknown_users[answer.first])
    return RankResponse(
        request_id,
        items,
        release.versions,
        degraded,
        {name: round(ms, 3) for name, ms in timings_ms.items()},
        True if is_unknown else UNSET,
    )
