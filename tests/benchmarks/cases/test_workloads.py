import pytest

from benchmarks.cases.workloads import WORKLOADS
from services.config.loading import load_config
from services.ingress.schema import parse_rank_request


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_written_pipeline_draws_the_candidates_of_its_workload(name: str) -> None:
    workload = WORKLOADS[name]
    with workload.config_file() as path:
        pipeline = load_config(path)
    assert pipeline.candidates.count == workload.candidates
    assert pipeline == workload.pipeline()
    assert workload.k <= pipeline.requests.max_k


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_bodies_are_requests_from_different_users(name: str) -> None:
    requests = [parse_rank_request(body) for body in WORKLOADS[name].bodies()]
    assert len({request.user_id for request in requests}) == len(requests)
    assert {request.k for request in requests} == {WORKLOADS[name].k}
