"""The balancing and the figures of the benchmark of routing by user."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.user_routing import BALANCE, LEASTCONN, USER, Routed, balance_by_user, bodies, medians
from services.deployment.ray_settings import throughput_settings
from services.ingress.asgi import Receive, Scope, Send
from tests.services.processes import free_port
from tests.services.proxies import faults_of, proxy, rendered
from tests.services.servers import Connection, http_request, http_server

USERS = [f"u-{number:06d}" for number in range(40)]


def named(name: bytes) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an application that answers with ``name``."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body", False):
            pass
        headers = [(b"content-length", str(len(name)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": name})

    return answer


def test_each_user_has_one_replica_and_every_replica_has_users(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(http_server(named(name))) for name in (b"first", b"second"))
        port = free_port()
        path = rendered(tmp_path, port, first)
        shipped, line = throughput_settings()[BALANCE], f"server replica 127.0.0.1:{first} check"
        text = path.read_text()
        assert f"balance {shipped}" in text
        assert line in text
        text = text.replace(f"balance {shipped}", f"balance {balance_by_user(shipped)}")
        path.write_text(text.replace(line, f"server other 127.0.0.1:{second} check\n    {line}"))
        assert faults_of(path) == ""
        stack.enter_context(proxy(path, port))
        connection = stack.enter_context(Connection(port))
        requests = {
            user: http_request("POST", "/v1/rank", json.dumps({"user_id": user}).encode()) for user in USERS
        }
        answers = [{user: connection.ask(data).body for user, data in requests.items()} for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert min(Counter(answers[0].values())[name] for name in (b"first", b"second")) >= 5


def test_low_numbers_of_users_are_not_the_frequent_ones() -> None:
    counts = Counter(json.loads(body)["user_id"] for body in bodies(1000, 1.0, seed=1))
    [(_, most), (_, second)] = counts.most_common(2)
    assert 1.7 < most / second < 2.3
    assert bodies(1000, 1.0, seed=1) == bodies(1000, 1.0, seed=1) != bodies(1000, 1.0, seed=2)


def test_a_row_has_the_medians_of_the_rounds_and_all_failures() -> None:
    rounds = [
        Routed(USER, 32, rate, 100.0, 9.0, 4.0, core_ms, 1)
        for rate, core_ms in ((0.5, 3.0), (0.7, 1.0), (0.6, 2.0))
    ]
    other = Routed(LEASTCONN, 32, 0.4, 90.0, 8.0, 4.0, 2.5, 0)
    assert medians([*rounds, other]) == [Routed(USER, 32, 0.6, 100.0, 9.0, 4.0, 2.0, 3), other]
