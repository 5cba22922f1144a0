"""Build a response from the request's part of a finished batch."""

from collections.abc import Sequence

from msgspec import UNSET

from models.features.catalogue import label_of
from models.features.sent import FIRST_UNKNOWN_ROW
from services.ingress.schema import RankedItem, RankRequest, RankResponse
from services.releases.release import Release
from services.scheduling.job import Answer

_EXPLAINED = ("ranker", "reranker")


def rank_response(
    request: RankRequest, request_id: str, answer: Answer, release: Release, *, new_ids: Sequence[str] = ()
) -> RankResponse:
    """Return the response to a request.

    Args:
        request: the request.
        request_id: its id.
        answer: the answer.
        release: the release that made the answer.
        new_ids: the ids of the request's candidates outside the catalogue.
    """
    batch = answer.batch
    first, last = batch.offsets[answer.first : answer.first + 2].tolist()
    ids, state = release.catalogue.ids, release.catalogue.state
    rows, scores = batch.rows[first:last].tolist(), batch.candidates["score"][first:last].tolist()
    if new_ids:
        first_new = FIRST_UNKNOWN_ROW
        names = [ids[row] if row < first_new else new_ids[row - first_new] for row in rows]
        items = [RankedItem(name, score) for name, score in zip(names, scores, strict=True)]
    else:
        items = list(map(RankedItem, map(ids.__getitem__, rows), scores))
    if request.explain:
        columns = {name: batch.candidates[name] for name in _EXPLAINED if name in batch.candidates}
        for index, item in enumerate(items, first):
            item.scores = {name: float(column[index]) for name, column in columns.items()}
    degraded = ",".join(batch.missed_by(answer.first)) or None if batch.missed else None
    versions = release.versions
    if (
        request.candidates is None and batch.catalogue != state
    ):  # a delta came before the candidates were found
        versions = {**versions, "catalogue": label_of(release.catalogue.manifest.version, batch.catalogue)}
    is_unknown = batch.unknown_users is not None and bool(batch.unknown_users[answer.first])
    return RankResponse(
        request_id,
        items,
        versions,
        degraded,
        {"queue": round(answer.queued_ms, 3), **answer.timings_ms},
        True if is_unknown else UNSET,
    )
