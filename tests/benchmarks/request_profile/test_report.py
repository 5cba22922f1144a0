from benchmarks.request_profile.cells import Cell
from benchmarks.request_profile.layers import NOT_SAMPLED
from benchmarks.request_profile.report import as_text


def _cell(layers: dict[str, dict[str, float]]) -> Cell:
    threads = {"event loop": 40.0, "model threads": 90.0, "other threads": 1.0}
    return Cell(10, 5000.0, 1.8, 0.02, {"replica": 131.0, "haproxy": 35.0}, threads, layers)


def test_layers_follow_their_thread_and_threads_follow_the_replica() -> None:
    layers = {
        "event loop": {"Python": 30.0, "kernel": 10.0},
        "model threads": {"kernel": 90.0},
        "other threads": {},
    }
    lines = [line.rsplit(None, 1) for line in as_text([_cell(layers)]).splitlines()[6:]]
    assert [(name.strip(), value) for name, value in lines] == [
        ("all processes", "166.0"),
        ("replica", "131.0"),
        ("event loop", "40.0"),
        ("Python", "30.0"),
        ("kernel", "10.0"),
        ("model threads", "90.0"),
        ("kernel", "90.0"),
        ("other threads", "1.0"),
        ("haproxy", "35.0"),
    ]


def test_without_samples_the_table_ends_with_the_threads() -> None:
    cell = _cell({name: {NOT_SAMPLED: 1.0} for name in ("event loop", "model threads", "other threads")})
    text = as_text([cell])
    assert "model threads" in text
    assert NOT_SAMPLED not in text
