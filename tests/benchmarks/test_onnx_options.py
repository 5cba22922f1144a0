"""The benchmark of ONNX Runtime's options measures valid configurations, each against the right reference."""

from pathlib import Path

from benchmarks.onnx_options import OPTIONS, REFERENCES, Call, Load, configurations, table


def test_every_option_differs_from_the_defaults_in_the_named_way(tmp_path: Path) -> None:
    configs = configurations(tmp_path)
    assert configs.keys() == OPTIONS.keys()
    assert len({config.model_dump_json() for config in configs.values()}) == len(OPTIONS)
    for name, reference in REFERENCES.items():
        assert configs[name].threads == configs[reference].threads


def test_table_has_a_row_for_each_figure() -> None:
    text = table([Call("defaults", 32, 0.5, 1.0, 0.02)], [Load("graph_cache", 12.0, 3.5)])
    assert [line.split()[0] for line in text.splitlines()] == ["option", "defaults", "option", "graph_cache"]
